//! A producer may use transactions: the marks in its partitions are no records, and no lag.

use pipeline::{Bench, LONG, Outcome};
use records::{Topic, Version};
use std::path::Path;

const OBJECTS: i64 = 40;

/// The listing of all objects at this version.
async fn list(bench: &Bench, version: Version) -> Outcome<()> {
    for number in 0..OBJECTS {
        let (id, size) = (format!("{number:02}"), [("size", number.into())]);
        bench.source.whole(Topic::InventorySnapshot, (&id, version), &size).await?;
    }
    Ok(())
}

fn applied(topic: &str) -> String {
    format!("SELECT sum(next_offset)::bigint FROM tributary.position WHERE topic LIKE '%{topic}'")
}

#[tokio::test]
async fn marks_of_transactions_leave_no_lag_and_take_no_licence_away() -> Outcome<()> {
    let mut bench = Bench::start("transactions").await?;
    list(&bench, Version::now()).await?;
    bench.answers("SELECT count(*) FROM inventory.widget", Some(OBJECTS)).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/transactions.py");
    let topics = ["inventory.snapshot", "inventory.live"]
        .map(|topic| format!("{}{topic}", bench.world.topic_prefix()));
    let sent = bench.world.python(&script, |command| command.args(&topics))?;
    assert!(sent.wait(LONG).await?.success(), "{}", sent.output()?);

    let end = bench.source.count(Topic::InventoryLive).await?;
    assert!(end > 2 * OBJECTS, "{end}: no marks");
    bench.answers(&applied("inventory.live"), Some(end)).await?;
    let listing = Version::now();
    list(&bench, listing).await?;
    bench.answers(&applied("inventory.snapshot"), Some(2 * OBJECTS)).await?;
    let written =
        format!("SELECT count(*) FROM inventory.widget WHERE version >= {}", listing.micros());
    bench.answers(&written, Some(0)).await?;
    bench.has_no_lag(Topic::InventoryLive).await?;
    // A position behind a mark stands for no record, and its log goes on.
    bench.persister.kill();
    bench.persister.restart()?;
    bench.source.whole(Topic::InventoryLive, ("one more", Version::now()), &[]).await?;
    bench.answers(&applied("inventory.live"), Some(end + 1)).await?;
    bench.answers("SELECT count(*) FROM tributary.gap", Some(0)).await
}
