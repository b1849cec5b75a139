//! People see what was rejected, and send it again when what was against it is mended.

use pipeline::{Bench, Outcome};
use records::{Topic, Value, Version};

const LIVE: Topic = Topic::InventoryLive;

/// Two records that a constraint refuses, and one that is no record.
async fn refused(name: &str) -> Outcome<Bench> {
    let mut bench = Bench::start(name).await?;
    bench.source.whole(LIVE, ("first", Version::now()), &[]).await?;
    bench.shows(&[("first", None, None)]).await?;
    bench.sql("ALTER TABLE inventory_all.widget ADD CONSTRAINT small CHECK (size < 10)").await?;
    for id in ["a", "b"] {
        bench.source.whole(LIVE, (id, Version::now()), &[("size", Value::Long(99))]).await?;
    }
    bench.source.publish(LIVE, (Some("k"), Some(b"no frame".to_vec()))).await?;
    bench.answers(POSITIONS, Some(4)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 3);
    Ok(bench)
}

const POSITIONS: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

async fn done(bench: &Bench, arguments: &[&str]) -> Outcome<String> {
    let (code, text) = bench.command(arguments).await?;
    assert_eq!(code, Some(0), "{text}");
    Ok(text)
}

fn id_of(listed: &str, key: &str) -> String {
    let line = listed.lines().find(|line| line.contains(key)).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_rejected_record_is_replayed_once_its_cause_is_mended() -> Outcome<()> {
    let mut bench = refused("replay").await?;
    // Reading again rejects again: the same records, so the same dead letters.
    let rewind = ["positions", "rewind", "--topic", "inventory.live", "--to-beginning"];
    done(&bench, &rewind).await?;
    bench.answers(POSITIONS, Some(4)).await?;
    bench.source.whole(LIVE, ("b", Version::now()), &[("size", Value::Long(1))]).await?;
    bench.shows(&[("b", None, Some(1)), ("first", None, None)]).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 6);

    let listed = done(&bench, &["dead-letters", "list"]).await?;
    assert!(listed.contains("3  in all, 3 shown"), "{listed}");
    let filter = ["--class", "not_framed", "--source-topic", "inventory.live", "--limit", "0"];
    let counted = done(&bench, &[&["dead-letters", "list"], &filter[..]].concat()).await?;
    assert!(counted.contains("1  in all, 0 shown"), "{counted}");
    let future = ["dead-letters", "list", "--since", "2100-01-01Z", "--output", "json"];
    assert!(done(&bench, &future).await?.contains("\"total\": 0"));

    let shown = done(&bench, &["dead-letters", "show", &id_of(&listed, "test/widget/a")]).await?;
    for said in ["tributary-error-class: refused_by_database", "\"size\": 99", "test.Widget"] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let shown = done(&bench, &["dead-letters", "show", &id_of(&listed, " k ")]).await?;
    assert!(shown.contains("8 bytes: 6e6f206672616d65"), "{shown}");

    bench.sql("ALTER TABLE inventory_all.widget DROP CONSTRAINT small").await?;
    let replay = ["dead-letters", "replay", "--class", "refused_by_database"];
    let sent = done(&bench, &replay).await?;
    assert!(sent.contains("2 of 2 sent"), "{sent}");
    // The one of b is older than what b has become since.
    bench.shows(&[("a", None, Some(99)), ("b", None, Some(1)), ("first", None, None)]).await?;
    bench.answers(POSITIONS, Some(7)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 6);
    Ok(())
}

#[tokio::test]
async fn what_is_refused_again_is_another_dead_letter() -> Outcome<()> {
    let bench = &mut refused("again").await?;
    let listed = done(bench, &["dead-letters", "list", "--class", "not_framed"]).await?;
    let id = id_of(&listed, " k ");
    let sent = done(bench, &["dead-letters", "replay", &id]).await?;
    assert!(sent.contains(&format!("sent      {id}  not_framed")), "{sent}");
    bench.answers(POSITIONS, Some(5)).await?;
    let listed = done(bench, &["dead-letters", "list", "--class", "not_framed"]).await?;
    assert!(listed.contains("2  in all"), "{listed}");

    let (code, text) = bench.command(&["dead-letters", "replay", "t/0/7"]).await?;
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("there is no dead letter t/0/7"), "{text}");
    Ok(())
}

#[tokio::test]
async fn many_are_replayed_only_when_it_was_said() -> Outcome<()> {
    let mut bench = refused("many").await?;
    for _ in 0..101 {
        bench.source.publish(LIVE, (None, Some(b"no frame".to_vec()))).await?;
    }
    bench.answers(POSITIONS, Some(105)).await?;
    let replay = ["dead-letters", "replay", "--class", "not_framed"];
    let (code, text) = bench.command(&replay).await?;
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("102 records would be sent again; say --yes"), "{text}");
    let sent = done(&bench, &[&replay[..], &["--yes"]].concat()).await?;
    assert!(sent.contains("102 of 102 sent"), "{sent}");
    bench.answers(POSITIONS, Some(207)).await
}
