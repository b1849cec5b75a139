//! How long a live change takes from its sending to its commit: alone, and while a full refresh of
//! everything is applied. `flood.rs` has a third case.

use crate::error::Error;
use crate::flood::Flood;
use crate::ours;
use crate::peers::{Peer, Tuning};
use crate::produce::{Form, Producer};
use crate::rig::{Closed, PATIENCE, Rig, Rows};
use crate::table::thousands;
use crate::trial::Contender;
use harness::wait_until;
use records::{Topic, Version};
use serde::Serialize;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use workloads::{Item, Workload};

/// Live updates in a second.
pub const RATE: u64 = 2_000;

/// Many live updates in a second.
pub const HIGH_RATE: u64 = 5_000;

/// Updates are sent in groups, this far apart.
const TICK: Duration = Duration::from_millis(5);

/// How long they are sent when nothing else ends them.
const LENGTH: Duration = Duration::from_secs(20);

/// The first updates are not counted: they meet a program that has just begun.
pub const WARM_UP: Duration = Duration::from_secs(2);

/// The delays of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Freshness {
    /// Who.
    pub contender: Contender,
    /// What was done beside it.
    pub beside: Beside,
    /// Updates sent in a second.
    pub rate: f64,
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, milliseconds.
    pub p99_ms: f64,
}

impl Freshness {
    /// One line, as soon as it is known.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{}, {}: {} per s, p50 {:.1} ms, p99 {:.1} ms",
            self.contender.title(),
            self.beside.title(),
            thousands(self.rate),
            self.p50_ms,
            self.p99_ms
        )
    }
}

/// What is done beside the updates that are measured.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// A snapshot of all objects is applied.
    Snapshot,
    /// Another source sends as fast as it can.
    Flood(Flood),
    /// The same, or nothing, and PostgreSQL and the persister have half of the cores to themselves.
    Divided(Option<Flood>),
}

impl Beside {
    /// How people read it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing else comes",
            Self::Snapshot => "a snapshot is applied",
            Self::Flood(_) => "one source floods the live lane",
            Self::Divided(None) => "nothing else comes, cores divided",
            Self::Divided(Some(_)) => "one source floods it, cores divided",
        }
    }
}

/// The versions of the updates, and how many there were.
pub struct Sent {
    /// That of the first, or a little less.
    pub begin: Version,
    /// That of the last.
    pub last: Version,
    /// How many.
    pub count: u64,
    seconds: f64,
}

/// Measures ours on a copy of the loaded rows.
///
/// # Errors
/// What stopped it.
pub async fn ours(
    rig: &Rig,
    loaded: &Closed,
    (beside, rate): (Beside, u64),
) -> Result<Freshness, Error> {
    let refreshed = matches!(beside, Beside::Snapshot);
    let prefix = format!("fresh-{}.", rig.next());
    let (live, snapshot) =
        (Topic::InventoryLive.name(&prefix), Topic::InventorySnapshot.name(&prefix));
    rig.make_topics(&prefix).await?;
    let producer = Producer::new(rig, Form::Ours, live.clone()).await?;
    if refreshed {
        let listing = Producer::new(rig, Form::Ours, snapshot.clone()).await?;
        listing.send_all(Workload::Changed.items(rig.records, rig.epoch), false).await?;
    }
    let mut rows = rig.copy_of(loaded).await?;
    rig.checkpoint().await?;
    let persister = ours::start(rig, &prefix, &rows.url, None)?;
    ours::owned(&mut rows, &live, &persister).await?;
    // From here on it reads.
    producer.send(Item { object: 0, changes: 1, version: Version::now() }, false).await?;
    ours::applied(&mut rows, &live, 1, &persister).await?;
    let over = AtomicBool::new(false);
    let (sent, ended) = tokio::join!(send(&producer, (updates(rig), rate), &over), async {
        let ended = if refreshed {
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
    // A short refresh would be over before a warm-up is.
    let first = if refreshed { sent.begin } else { sent.begin.plus(WARM_UP) };
    let table = ("inventory_all.bench_vm", "base_version");
    let (p50_ms, p99_ms) = delays(&mut rows, table, first..=sent.last).await?;
    rig.drop(rows.close().await?).await?;
    let rate = sent.rate();
    Ok(Freshness { contender: Contender::Ours, beside, rate, p50_ms, p99_ms })
}

/// Measures a peer on a copy of the loaded rows. It has one topic only, in which a change waits
/// behind a refresh, so nothing else comes.
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
    let (sent, ()) = tokio::join!(send(&producer, (updates(rig), RATE), &over), async {
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
    Ok(Freshness { contender, beside: Beside::Nothing, rate, p50_ms, p99_ms })
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

/// One of each object.
fn updates(rig: &Rig) -> impl Iterator<Item = Item> {
    Workload::Partial.items(rig.records, rig.epoch)
}

/// Sends whole updates, so many a second, until it is over, or there are no more.
///
/// # Errors
/// What Kafka said.
pub async fn send(
    producer: &Producer,
    (mut items, rate): (impl Iterator<Item = Item>, u64),
    over: &AtomicBool,
) -> Result<Sent, Error> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begin = Version::now();
    let mut last = begin;
    let each = rate * u64::try_from(TICK.as_millis()).unwrap_or(1) / 1_000;
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
    /// Updates in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// The version is when it was sent; PostgreSQL tells when the row was committed.
///
/// # Errors
/// [`Error::Database`].
pub async fn delays(
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
