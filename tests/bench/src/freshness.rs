//! How long a live change takes from its sending to its commit: alone, and while a full refresh of
//! everything is applied.

use crate::error::Error;
use crate::ours;
use crate::peers::{Peer, Tuning};
use crate::produce::{Form, Producer};
use crate::rig::{Closed, PATIENCE, Rig, Rows};
use crate::trial::Contender;
use crate::workload::{Item, Workload};
use harness::wait_until;
use records::{Topic, Version};
use serde::Serialize;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Live updates in a second.
const RATE: u64 = 2_000;

/// Updates are sent in groups, this far apart.
const TICK: Duration = Duration::from_millis(5);

/// How long they are sent when nothing else ends them.
const LENGTH: Duration = Duration::from_secs(20);

/// The first updates are not counted: they meet a program that has just begun.
const WARM_UP: Duration = Duration::from_secs(2);

/// The delays of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Freshness {
    /// Who.
    pub contender: Contender,
    /// Whether a snapshot of all objects was applied beside it.
    pub flooded: bool,
    /// Updates sent in a second.
    pub rate: f64,
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// The versions of the updates, and how many there were.
struct Sent {
    begin: Version,
    last: Version,
    count: u64,
    seconds: f64,
}

/// Measures ours on a copy of the loaded rows.
///
/// # Errors
/// What stopped it.
pub async fn ours(rig: &Rig, loaded: &Closed, flooded: bool) -> Result<Freshness, Error> {
    let prefix = format!("fresh-{}.", rig.next());
    let (live, snapshot) =
        (Topic::InventoryLive.name(&prefix), Topic::InventorySnapshot.name(&prefix));
    rig.make_topics(&prefix).await?;
    let producer = Producer::new(rig, Form::Ours, live.clone()).await?;
    if flooded {
        let flood = Producer::new(rig, Form::Ours, snapshot.clone()).await?;
        flood.send_all(Workload::Changed.items(rig.records, rig.epoch), false).await?;
    }
    let mut rows = rig.copy_of(loaded).await?;
    rig.checkpoint().await?;
    let persister = ours::start(rig, &prefix, &rows.url, None)?;
    ours::owned(&mut rows, &live, &persister).await?;
    // From here on it reads.
    producer.send(Item { object: 0, changes: 1, version: Version::now() }, false).await?;
    ours::applied(&mut rows, &live, 1, &persister).await?;
    let over = AtomicBool::new(false);
    let (sent, ended) = tokio::join!(send(rig, &producer, &over), async {
        let ended = if flooded {
            ours::applied(&mut rows, &snapshot, rig.records, &persister).await.map(drop)
        } else {
            tokio::time::sleep(LENGTH).await;
            Ok(())
        };
        over.store(true, Ordering::Relaxed);
        ended
    });
    let sent = ended.and(sent)?;
    ours::applied(&mut rows, &live, sent.count + 1, &persister).await?;
    ours::stop(&persister).await?;
    // A short flood would be over before a warm-up is.
    let first = if flooded { sent.begin } else { sent.begin.plus(WARM_UP) };
    let table = ("inventory_all.bench_vm", "base_version");
    let (p50_ms, p99_ms) = delays(&mut rows, table, first..=sent.last).await?;
    rig.drop(rows.close().await?).await?;
    let rate = sent.rate();
    Ok(Freshness { contender: Contender::Ours, flooded, rate, p50_ms, p99_ms })
}

/// Measures a peer on a copy of the loaded rows. It has one topic only, in which a change waits
/// behind a refresh, so there is no flood.
///
/// # Errors
/// What stopped it.
pub async fn peer(rig: &Rig, loaded: &Closed, peer: &Peer) -> Result<Freshness, Error> {
    let topic = format!("fresh-{}.flat", rig.next());
    rig.make_topic(topic.clone()).await?;
    let producer = Producer::new(rig, Form::Flat, topic.clone()).await?;
    let mut rows = rig.copy_of(loaded).await?;
    rig.checkpoint().await?;
    let program = peer.start(rig, (&topic, &rows.url), Tuning::Latency)?;
    let began = Version::now();
    producer.send(Item { object: 0, changes: 1, version: began }, false).await?;
    arrived(&mut rows, began, 1).await?;
    let over = AtomicBool::new(false);
    let (sent, ()) = tokio::join!(send(rig, &producer, &over), async {
        tokio::time::sleep(LENGTH).await;
        over.store(true, Ordering::Relaxed);
    });
    let sent = sent?;
    arrived(&mut rows, began.next(), sent.count).await?;
    program.kill();
    let first = sent.begin.plus(WARM_UP);
    let (p50_ms, p99_ms) = delays(&mut rows, ("vm", "version"), first..=sent.last).await?;
    rig.drop(rows.close().await?).await?;
    let (contender, rate) = (peer.contender, sent.rate());
    Ok(Freshness { contender, flooded: false, rate, p50_ms, p99_ms })
}

/// Waits until so many rows are of this version or newer.
async fn arrived(rows: &mut Rows, version: Version, wanted: u64) -> Result<(), Error> {
    let query = format!("SELECT count(*) FROM vm WHERE version >= {}", version.micros());
    let found =
        wait_until("the updates' rows", PATIENCE, async || match rows.number(&query).await {
            Ok(count) if count.cast_unsigned() >= wanted => Ok(()),
            Ok(count) => Err(format!("{count} of {wanted}")),
            Err(error) => Err(error.to_string()),
        });
    Ok(found.await?)
}

/// Sends updates until it is over, or all objects have had one.
async fn send(rig: &Rig, producer: &Producer, over: &AtomicBool) -> Result<Sent, Error> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begin = Version::now();
    let mut last = begin;
    let each = RATE * u64::try_from(TICK.as_millis()).unwrap_or(1) / 1_000;
    let mut items = Workload::Partial.items(rig.records, rig.epoch);
    let mut count = 0;
    'sending: while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        for _ in 0..each {
            let Some(item) = items.next() else { break 'sending };
            last = Version::now();
            producer.send(Item { version: last, ..item }, false).await?;
            count += 1;
        }
    }
    producer.acknowledged().await?;
    let seconds = last.age_seconds(begin).abs();
    Ok(Sent { begin, last, count, seconds })
}

impl Sent {
    fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// The version is when it was sent; PostgreSQL tells when the row was committed.
async fn delays(
    rows: &mut Rows,
    (table, version): (&str, &str),
    versions: RangeInclusive<Version>,
) -> Result<(f64, f64), Error> {
    let query = format!(
        "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 - {version} / 1000.0 \
         FROM {table} WHERE {version} BETWEEN {} AND {}",
        versions.start().micros(),
        versions.end().micros()
    );
    rows.percentiles(&query).await
}
