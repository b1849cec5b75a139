//! Records of a type that nobody has seen before become rows, exactly as the model says.

use nix::sys::signal::Signal;
use pipeline::{Bench, Outcome};
use records::{Topic, Value, Version};
use std::time::Duration;

#[tokio::test]
async fn records_become_rows_and_a_listing_ends_what_it_does_not_list() -> Outcome<()> {
    let mut bench = Bench::start("rows").await?;
    let source = &bench.source;
    let listing = Version::now();
    let tags: Value = vec!["x", "y"].into();
    let a = [("name", "a".into()), ("size", 1_i64.into()), ("tags", tags)];
    source.whole(Topic::InventorySnapshot, ("a", listing), &a).await?;
    source.whole(Topic::InventorySnapshot, ("b", listing), &[("size", 2_i64.into())]).await?;
    source.extent(&["a", "b"], listing).await?;
    bench.shows(&[("a", Some("a"), Some(1)), ("b", None, Some(2))]).await?;

    let source = &bench.source;
    let later = Version::now();
    source.update(("a", later), &[("size", 7_i64.into())]).await?;
    source.delete("b", later).await?;
    source.whole(Topic::InventoryLive, ("c", later), &[("name", "c".into())]).await?;
    bench.shows(&[("a", Some("a"), Some(7)), ("c", Some("c"), None)]).await?;

    let last = Version::now();
    let a = [("name", "a".into()), ("size", 7_i64.into())];
    bench.source.whole(Topic::InventorySnapshot, ("a", last), &a).await?;
    bench.source.extent(&["a"], last).await?;
    bench.shows(&[("a", Some("a"), Some(7))]).await
}

#[tokio::test]
async fn an_older_record_never_wins() -> Outcome<()> {
    let mut bench = Bench::start("older").await?;
    let old = Version::now();
    let new = old.plus(Duration::from_millis(5));
    let live = Topic::InventoryLive;
    bench.source.whole(live, ("a", new), &[("size", 2_i64.into())]).await?;
    bench.source.whole(live, ("a", old), &[("size", 1_i64.into())]).await?;
    bench.source.delete("a", old).await?;
    bench.source.whole(live, ("end", new), &[]).await?;
    bench.shows(&[("a", None, Some(2)), ("end", None, None)]).await
}

#[tokio::test]
async fn a_persister_killed_again_and_again_loses_nothing() -> Outcome<()> {
    let mut bench = Bench::start("killed").await?;
    let mut wanted = Vec::new();
    let names: Vec<String> = (0..400).map(|i| format!("{i:04}")).collect();
    for (i, id) in names.iter().enumerate() {
        let size = i64::try_from(i)?;
        let attributes = [("size", Value::Long(size))];
        let object = (id.as_str(), Version::now());
        bench.source.whole(Topic::InventoryLive, object, &attributes).await?;
        wanted.push((id.as_str(), None, Some(size)));
        if i % 100 == 99 {
            bench.persister.kill();
            bench.persister.restart()?;
        }
    }
    bench.shows(&wanted).await
}

/// The second hundred is copied into the table, because the first were all new; the third try meets
/// keys that exist.
#[tokio::test]
async fn many_new_objects_at_once_become_rows_as_single_ones_do() -> Outcome<()> {
    const QUESTION: &str = "SELECT count(*) FROM inventory.widget \
        WHERE name = 'n' || native_id AND size = native_id::bigint \
        AND tags = ARRAY[native_id, 'a,\"b\\', ''] \
        AND labels = jsonb_build_object('k', native_id) AND first_seen_at <= now()";
    let mut bench = Bench::start("many").await?;
    for (range, wanted) in [(0..100, 100), (100..200, 200), (150..250, 250)] {
        let version = Version::now();
        let persister = bench.persister.id().ok_or("the persister has ended")?;
        // So that they arrive together.
        persister.signal(Signal::SIGSTOP);
        for number in range {
            let id = format!("{number}");
            let attributes = [
                ("name", format!("n{id}").into()),
                ("size", Value::Long(number)),
                ("tags", vec![id.as_str(), "a,\"b\\", ""].into()),
                ("labels", Value::Map([("k".to_owned(), id.as_str().into())].into())),
            ];
            bench.source.whole(Topic::InventorySnapshot, (&id, version), &attributes).await?;
        }
        persister.signal(Signal::SIGCONT);
        bench.answers(QUESTION, Some(wanted)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_record_that_comes_again_writes_only_what_a_person_has_changed() -> Outcome<()> {
    const APPLIED: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";
    const XMIN: &str = "SELECT xmin::text::bigint FROM inventory_all.widget";
    let mut bench = Bench::start("again").await?;
    let version = Version::now();
    let send = async |bench: &Bench| {
        let attributes = [("name", "a".into()), ("size", Value::Long(1))];
        bench.source.whole(Topic::InventoryLive, ("a", version), &attributes).await
    };
    send(&bench).await?;
    bench.answers(APPLIED, Some(1)).await?;
    let written: i64 = sqlx::query_scalar(XMIN).fetch_one(&mut bench.database).await?;
    send(&bench).await?;
    bench.answers(APPLIED, Some(2)).await?;
    assert_eq!(sqlx::query_scalar::<_, i64>(XMIN).fetch_one(&mut bench.database).await?, written);
    bench.sql("UPDATE inventory_all.widget SET size = 7").await?;
    send(&bench).await?;
    bench.shows(&[("a", Some("a"), Some(1))]).await
}

const EXTENTS: &str = "SELECT count(*) FROM tributary.extent";

#[tokio::test]
async fn deletes_of_a_type_that_only_others_have_met_are_no_extents() -> Outcome<()> {
    let mut bench = Bench::start("deletes").await?;
    let ids: Vec<String> = (0..200).map(|id| format!("{id:03}")).collect();
    for id in &ids {
        bench.source.whole(Topic::InventorySnapshot, (id, Version::now()), &[]).await?;
    }
    bench.answers("SELECT count(*) FROM inventory.widget", Some(200)).await?;
    // Only the connections of the snapshot lane have met the type; after a start, none has.
    for (number, ids) in ids.chunks(100).enumerate() {
        for id in ids {
            bench.source.delete(id, Version::now()).await?;
        }
        let left = i64::try_from(100 * (1 - number))?;
        bench.answers("SELECT count(*) FROM inventory.widget", Some(left)).await?;
        bench.answers(EXTENTS, Some(0)).await?;
        bench.persister.kill();
        bench.persister.restart()?;
    }
    bench.answers("SELECT count(*) FROM inventory_all.widget", Some(200)).await
}
