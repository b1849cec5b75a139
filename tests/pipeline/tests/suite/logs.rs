//! A position belongs to one log: on another one everything is read, and the sources list anew.

use harness::wait_until;
use pipeline::{Bench, LONG, Outcome, Source, WIDGET};
use records::topics::partition_of;
use records::{Topic, Version};
use std::collections::HashSet;
use std::path::Path;

const GAPS: &str = "SELECT count(*) FROM tributary.gap";
const APPLIED: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

async fn idle(name: &str) -> Outcome<Bench> {
    idle_on(Bench::start(name).await?).await
}

/// Rows `a`, `b` and `c` from both lanes, and a paused source.
async fn idle_on(mut bench: Bench) -> Outcome<Bench> {
    for (topic, id) in [(Topic::InventoryLive, "a"), (Topic::InventorySnapshot, "b")] {
        bench.source.whole(topic, (id, Version::now()), &[]).await?;
    }
    bench.source.whole(Topic::InventoryLive, ("c", Version::now()), &[]).await?;
    bench.answers(APPLIED, Some(3)).await?;
    bench.answers("SELECT count(*) FROM tributary.source", Some(1)).await?;
    bench.source.pause().await?;
    Ok(bench)
}

async fn is_asked_to_list(bench: &Bench, since: Version) -> Outcome<()> {
    wait_until("a wanted listing", LONG, async || {
        let directive = bench.source.directive().await.map_err(|error| error.to_string())?;
        let wanted = directive.listing_wanted_since.is_some_and(|at| at >= since.micros());
        if wanted && directive.paused { Ok(()) } else { Err(format!("{directive:?}")) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn another_log_is_read_from_its_beginning() -> Outcome<()> {
    let mut bench = idle("log").await?;
    bench.answers("SELECT count(cluster_id) FROM tributary.position", Some(16)).await?;
    bench.answers("SELECT count(last_key_hash) FROM tributary.position", Some(3)).await?;
    let mut gaps = 0;
    for (change, reason, lost) in [
        ("cluster_id = 'another'", "another Kafka cluster", 16),
        ("last_key_hash = last_key_hash + 1", "the record before the position", 3),
        ("next_offset = 1000 + next_offset", "ends before the position", 16),
    ] {
        let since = Version::now();
        bench.persister.kill();
        bench.sql("DELETE FROM inventory_all.widget").await?;
        bench.sql(&format!("UPDATE tributary.position SET {change}")).await?;
        bench.persister.restart()?;
        bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None)]).await?;
        bench.answers(APPLIED, Some(3)).await?;
        gaps += lost;
        bench.answers(GAPS, Some(gaps)).await?;
        let of_reason = format!("{GAPS} WHERE reason LIKE '%{reason}%'");
        bench.answers(&of_reason, Some(lost)).await?;
        is_asked_to_list(&bench, since).await?;
    }
    // The same log again: nothing is lost.
    bench.persister.kill();
    bench.persister.restart()?;
    bench.source.whole(Topic::InventoryLive, ("d", Version::now()), &[]).await?;
    bench.answers(APPLIED, Some(4)).await?;
    bench.answers(GAPS, Some(gaps)).await
}

#[tokio::test]
async fn a_position_that_is_lost_on_the_way_does_not_end_the_persister() -> Outcome<()> {
    let mut bench = idle("lost").await?;
    let (since, first) = (Version::now(), bench.persister.id());
    bench.sql("DELETE FROM inventory_all.widget").await?;
    bench.sql("UPDATE tributary.position SET next_offset = 1000 WHERE next_offset > 0").await?;
    bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None)]).await?;
    bench.answers(APPLIED, Some(3)).await?;
    bench.answers(GAPS, Some(3)).await?;
    assert_eq!(bench.persister.id(), first);
    is_asked_to_list(&bench, since).await
}

/// Deletes all records of a topic that are there, as retention does.
async fn delete_records(bench: &Bench, topic: Topic) -> Outcome<()> {
    let topic = format!("{}{}", bench.world.topic_prefix(), topic.suffix());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/delete_records.py");
    let deleted = bench.world.python(&script, |command| command.arg(&topic))?;
    assert!(deleted.wait(LONG).await?.success(), "{}", deleted.output()?);
    Ok(())
}

#[tokio::test]
async fn records_that_were_deleted_before_they_were_read_are_a_gap() -> Outcome<()> {
    let mut bench = idle("overtaken").await?;
    bench.persister.kill();
    let since = Version::now();
    let mut lost = HashSet::new();
    for id in ["d", "e"] {
        bench.source.whole(Topic::InventoryLive, (id, Version::now()), &[]).await?;
        lost.insert(partition_of(format!("test/widget/{id}").as_bytes(), 4));
    }
    delete_records(&bench, Topic::InventoryLive).await?;
    bench.persister.restart()?;
    is_asked_to_list(&bench, since).await?;
    let lost = i64::try_from(lost.len())?;
    let of_retention = format!("{GAPS} WHERE reason LIKE '%deleted by retention%'");
    bench.answers(&of_retention, Some(lost)).await?;
    bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None)]).await?;
    // The live log has nothing to say: a listing writes only what it does not find.
    bench.catches_up().await?;
    bench.has_no_lag(Topic::InventoryLive).await?;
    let listing = Version::now();
    for id in ["a", "b", "c", "d", "e"] {
        bench.source.whole(Topic::InventorySnapshot, (id, listing), &[]).await?;
    }
    let written =
        format!("SELECT count(*) FROM inventory.widget WHERE version >= {}", listing.micros());
    bench.answers(&written, Some(2)).await?;
    bench.source.whole(Topic::InventoryLive, ("f", Version::now()), &[]).await?;
    bench.answers("SELECT count(*) FROM inventory.widget", Some(6)).await?;
    bench.answers(&written, Some(3)).await
}

#[tokio::test]
async fn another_cluster_behind_the_address_is_read_from_its_beginning() -> Outcome<()> {
    let mut bench = idle_on(Bench::start_alone("cluster").await?).await?;
    let (since, first) = (Version::now(), bench.persister.id());
    bench.world.parts().kafka.replace().await?;
    bench.source = Source::start(&bench.world, WIDGET).await?;
    bench.sql("DELETE FROM inventory_all.widget").await?;
    // As many as before, so that the logs end where the others did.
    for id in ["a", "c"] {
        bench.source.whole(Topic::InventoryLive, (id, Version::now()), &[]).await?;
    }
    bench.source.whole(Topic::InventorySnapshot, ("b", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None)]).await?;
    bench.answers(APPLIED, Some(3)).await?;
    assert_eq!(bench.persister.id(), first, "{}", bench.persister.output()?);
    let directive = async |bench: &Bench| bench.source.directive().await;
    wait_until("a wanted listing", LONG, async || {
        let directive = directive(&bench).await.map_err(|error| error.to_string())?;
        let wanted = directive.listing_wanted_since.is_some_and(|at| at >= since.micros());
        if wanted { Ok(()) } else { Err(format!("{directive:?}")) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_topic_made_anew_under_a_running_persister_is_read_from_its_beginning() -> Outcome<()> {
    let mut bench = idle("anew").await?;
    let (since, first) = (Version::now(), bench.persister.id());
    let topic = format!("{}inventory.live", bench.world.topic_prefix());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/anew.py");
    let anew = bench.world.python(&script, |command| command.args([&topic, "4"]))?;
    assert!(anew.wait(LONG).await?.success(), "{}", anew.output()?);
    bench.sql("DELETE FROM inventory_all.widget").await?;
    for id in ["a", "c"] {
        bench.source.whole(Topic::InventoryLive, (id, Version::now()), &[]).await?;
    }
    bench.shows(&[("a", None, None), ("c", None, None)]).await?;
    bench.answers(APPLIED, Some(3)).await?;
    assert_eq!(bench.persister.id(), first, "{}", bench.persister.output()?);
    is_asked_to_list(&bench, since).await
}
