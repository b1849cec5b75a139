//! More records than a persister can take at once: other sources do not wait for them, and memory
//! is bounded.

use harness::wait_until;
use nix::sys::signal::Signal;
use pipeline::{Bench, LONG, Outcome, admin, persister};
use records::topics::partition_of;
use records::{NativeId, SourceName, Topic, Upsert, Version};
use sqlx::{Connection, PgConnection};
use std::iter::successors;
use std::time::{Duration, Instant};

const BACKLOG: usize = 300_000;
const RESIDENT_MIB_MAX: u64 = 150;
/// Records of 600 kB.
const LARGE: usize = 500;
/// 16 MiB are held, and some wait for each partition; beside them are their values, their rows and
/// the message with the rows.
const RESIDENT_LARGE_MIB_MAX: u64 = 230;

fn text(number: usize) -> String {
    format!("{number:06}")
}

async fn post(bench: &Bench, topic: Topic, (source, id): (&str, &str)) -> Outcome<()> {
    let (source, native_id) = (&SourceName::new(source)?, &NativeId::new(id)?);
    let attributes = &[("name", id.into()), ("size", 7_i64.into())];
    let version = Version::now();
    let upsert = Upsert { source, native_id, version, partial: false, attributes };
    bench.source.post(topic, &upsert).await
}

/// The lane can't go on: a row that it wants to write is locked. Without what goes ahead of it, the
/// small source would wait for that lock.
#[tokio::test]
async fn a_small_source_does_not_wait_for_the_backlog_of_another_one() -> Outcome<()> {
    let variables = [("TRIBUTARY_PERSISTER__BATCH_RECORDS", "50")];
    let mut bench = Bench::start_with("ahead", &variables).await?;
    post(&bench, Topic::InventoryLive, ("flood", "0")).await?;
    bench.shows(&[("0", Some("0"), Some(7))]).await?;
    let mut person = PgConnection::connect(bench.world.database_url()).await?;
    let mut lock = person.begin().await?;
    sqlx::query("SELECT FROM inventory_all.widget FOR UPDATE").execute(&mut *lock).await?;
    let persister = bench.persister.id().ok_or("the persister has ended")?;
    // What is sent after the backlog is noticed would go ahead too, and wait for the lock.
    persister.signal(Signal::SIGSTOP);
    // It may have asked where the topic ends: the answer must not have half of the backlog.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..500 {
        post(&bench, Topic::InventoryLive, ("flood", "0")).await?;
    }
    bench.source.acknowledged().await?;
    persister.signal(Signal::SIGCONT);
    let partition = |key: String| partition_of(key.as_bytes(), 4);
    let is_behind =
        |id: &String| partition(format!("small/widget/{id}")) == partition("flood/widget/0".into());
    let mut ids = (0..).map(text).filter(is_behind);
    // What is sent before the backlog is noticed waits with it.
    wait_until("a change of the small source", LONG, async || {
        let id = ids.next().unwrap_or_default();
        let sent = post(&bench, Topic::InventoryLive, ("small", &id)).await;
        sent.map_err(|error| error.to_string())?;
        let seen = "SELECT count(*) FROM inventory.widget WHERE source = 'small'";
        let seen = sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut bench.database).await;
        match seen.map_err(|error| error.to_string())? {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await?;
    let metrics = admin(&bench.world, "slot-0", "/metrics").await?;
    let none = "tributary_persister_express_records_total 0\n";
    assert!(metrics.contains(none.trim_end_matches("0\n")) && !metrics.contains(none), "{metrics}");
    lock.rollback().await?;
    // The lane applies everything in its turn.
    bench.source.acknowledged().await?;
    let sent = bench.source.count(Topic::InventoryLive).await?;
    bench.answers("SELECT sum(next_offset)::bigint FROM tributary.position", Some(sent)).await?;
    bench.answers("SELECT count(*) FROM inventory.widget", Some(sent - 500)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    Ok(())
}

/// Starts the persister again, waits until it has applied so many records, and gives the most
/// memory that it has had, in MiB.
async fn apply_backlog(mut bench: Bench, backlog: usize) -> Outcome<u64> {
    bench.source.acknowledged().await?;
    let (mut resident_kib, started) = (0, Instant::now());
    let persister = persister(&bench.world, "slot-0", &[])?;
    wait_until("the backlog applied", LONG, async || {
        resident_kib = persister.resident_kib().max(Some(resident_kib)).unwrap_or_default();
        let applied = "SELECT sum(next_offset)::bigint FROM tributary.position";
        let applied = sqlx::query_scalar::<_, Option<i64>>(applied);
        match applied.fetch_one(&mut bench.database).await.map_err(|error| error.to_string())? {
            Some(applied) if usize::try_from(applied) == Ok(backlog) => Ok(()),
            applied => Err(format!("{applied:?}")),
        }
    })
    .await?;
    let (seconds, mebibytes) = (started.elapsed().as_secs_f64(), resident_kib / 1024);
    println!("{backlog} records in {seconds:.1} s, at most {mebibytes} MiB resident");
    Ok(mebibytes)
}

#[tokio::test]
async fn a_backlog_does_not_fill_the_memory() -> Outcome<()> {
    let bench = Bench::start("backlog").await?;
    bench.persister.kill();
    for number in 0..BACKLOG {
        let topic = [Topic::InventoryLive, Topic::InventorySnapshot][number % 2];
        post(&bench, topic, ("bulk", &text(number))).await?;
    }
    assert!(apply_backlog(bench, BACKLOG).await? < RESIDENT_MIB_MAX);
    Ok(())
}

/// Letters that can't be compressed (Marsaglia's xorshift): a fetch has few such records.
fn noise(number: usize, letters: usize) -> String {
    let step = |x: &u64| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    };
    let numbers = successors(Some(number as u64 + 1), step).take(letters);
    numbers.map(|x| char::from(b"abcdefghijklmnop"[(x >> 60) as usize])).collect()
}

#[tokio::test]
async fn a_backlog_of_large_records_does_not_fill_the_memory() -> Outcome<()> {
    let bench = Bench::start("large").await?;
    bench.persister.kill();
    let source = &SourceName::new("bulk")?;
    for number in 0..LARGE {
        let native_id = &NativeId::new(text(number))?;
        let attributes = &[("name", noise(number, 600_000).into())];
        let (version, partial) = (Version::now(), false);
        let upsert = Upsert { source, native_id, version, partial, attributes };
        bench.source.post(Topic::InventorySnapshot, &upsert).await?;
    }
    assert!(apply_backlog(bench, LARGE).await? < RESIDENT_LARGE_MIB_MAX);
    Ok(())
}
