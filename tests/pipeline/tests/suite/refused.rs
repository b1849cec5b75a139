//! A record that PostgreSQL refuses is a dead letter, and costs only itself.

use pipeline::{Bench, Outcome};
use records::{Topic, Value, Version};

/// The persister is down while they are sent, so that they are one batch.
async fn send(bench: &mut Bench, sizes: impl Iterator<Item = (String, i64)>) -> Outcome<()> {
    bench.persister.kill();
    for (id, size) in sizes {
        let object = (id.as_str(), Version::now());
        let attributes = [("size", Value::Long(size))];
        bench.source.whole(Topic::InventoryLive, object, &attributes).await?;
    }
    bench.persister.restart()?;
    Ok(())
}

async fn prepared(name: &str, statements: &str) -> Outcome<Bench> {
    let mut bench = Bench::start(name).await?;
    bench.source.whole(Topic::InventoryLive, ("first", Version::now()), &[]).await?;
    bench.shows(&[("first", None, None)]).await?;
    bench.sql(statements).await?;
    Ok(bench)
}

const POSITIONS: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

#[tokio::test]
async fn refused_records_are_found_by_halving() -> Outcome<()> {
    let statements = "ALTER TABLE inventory_all.widget ADD CHECK (size < 1000);
        CREATE SEQUENCE tries;
        CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM nextval(''tries''); RETURN NULL; END';
        CREATE TRIGGER tried BEFORE INSERT ON inventory_all.widget EXECUTE FUNCTION try()";
    let mut bench = prepared("refused", statements).await?;
    let id = |number: i64| format!("{number:03}");
    let size = |number: i64| if [17, 118].contains(&number) { 5000 } else { number };
    send(&mut bench, (0..200).map(|n| (id(n), size(n)))).await?;
    bench.answers("SELECT count(*) FROM inventory.widget", Some(199)).await?;
    bench.answers("SELECT count(*) FROM inventory.widget WHERE size >= 1000", Some(0)).await?;
    assert_eq!(bench.source.dead_letters().await?, ["test/widget/017", "test/widget/118"]);
    bench.answers(POSITIONS, Some(201)).await?;
    bench.admin_shows("/metrics", r#"dead_letters_total{class="refused_by_database"} 2"#).await?;
    let log = bench.persister.output()?;
    assert!(log.contains("violates check constraint"), "{log}");
    // Two bad ones among 200 in at most four batches: far fewer than one by one.
    bench.answers("SELECT (last_value < 80)::int::bigint FROM tries", Some(1)).await
}

#[tokio::test]
async fn records_of_one_object_are_told_apart() -> Outcome<()> {
    let mut bench =
        prepared("apart", "ALTER TABLE inventory_all.widget ADD CHECK (size < 10)").await?;
    // The first would be void under the third, and is never asked for.
    send(&mut bench, [4, 3, 99].into_iter().map(|size| ("a".to_owned(), size))).await?;
    bench.shows(&[("a", None, Some(3)), ("first", None, None)]).await?;
    assert_eq!(bench.source.dead_letters().await?, ["test/widget/a"]);
    Ok(())
}

#[tokio::test]
async fn what_is_refused_at_the_commit_is_found_too() -> Outcome<()> {
    let statements = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.size = 13 THEN RAISE ''no luck''; END IF; RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER refused AFTER INSERT OR UPDATE ON inventory_all.widget
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";
    let mut bench = prepared("commit", statements).await?;
    let sizes = [("a", 1), ("b", 13), ("c", 3)];
    send(&mut bench, sizes.into_iter().map(|(id, size)| (id.to_owned(), size))).await?;
    bench.shows(&[("a", None, Some(1)), ("c", None, Some(3)), ("first", None, None)]).await?;
    assert_eq!(bench.source.dead_letters().await?, ["test/widget/b"]);
    Ok(())
}

#[tokio::test]
async fn a_refused_extent_is_a_dead_letter() -> Outcome<()> {
    let mut bench =
        prepared("extent", "ALTER TABLE inventory_all.widget ADD CHECK (alive)").await?;
    bench.source.extent(&[], Version::now()).await?;
    bench.source.extent(&["first"], Version::now()).await?;
    bench.answers(POSITIONS, Some(3)).await?;
    bench.shows(&[("first", None, None)]).await?;
    assert_eq!(bench.source.dead_letters().await?, ["test/widget"]);
    Ok(())
}

/// PostgreSQL can't write for a while, as when its disk is full: the batch is tried again.
#[tokio::test]
async fn a_batch_that_is_tried_again_has_its_dead_letters_once() -> Outcome<()> {
    let statements = "CREATE SEQUENCE tries;
        CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') < 4 THEN
                RAISE 'no space left' USING ERRCODE = 'disk_full';
            END IF;
            RETURN NEW; END $$;
        CREATE TRIGGER tried BEFORE UPDATE ON tributary.position FOR EACH ROW
            WHEN (NEW.topic LIKE '%inventory.live') EXECUTE FUNCTION try()";
    let mut bench = prepared("full", statements).await?;
    bench.source.publish(Topic::InventoryLive, (Some("k"), Some(b"no frame".to_vec()))).await?;
    bench.answers(POSITIONS, Some(2)).await?;
    bench.answers("SELECT (last_value >= 4)::int::bigint FROM tries", Some(1)).await?;
    assert_eq!(bench.source.dead_letters().await?, ["k"]);
    Ok(())
}
