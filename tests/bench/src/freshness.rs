//! How long a live change takes from its sending to its commit: alone, and while a full refresh of
//! everything is applied.

use crate::error::Error;
use crate::ours;
use crate::produce::{Form, Producer};
use crate::rig::{Closed, Rig, Rows};
use crate::trial::Contender;
use crate::workload::{Item, Workload};
use records::{Topic, Version};
use serde::Serialize;
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

/// The versions of the updates that count, and how many were sent in all.
struct Sent {
    first: Version,
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
        flood.send_all(rig, Workload::Changed).await?;
    }
    let mut rows = rig.copy_of(loaded).await?;
    rig.checkpoint().await?;
    let persister = ours::start(rig, &prefix, &rows.url)?;
    ours::owned(&mut rows, &live, &persister).await?;
    let over = AtomicBool::new(false);
    let flood = async {
        if flooded {
            ours::applied(&mut rows, &snapshot, rig.records, &persister).await?;
        } else {
            tokio::time::sleep(LENGTH).await;
        }
        over.store(true, Ordering::Relaxed);
        Ok::<_, Error>(())
    };
    let (sent, ended) = tokio::join!(send(rig, &producer, &over), flood);
    let sent = sent?;
    ended?;
    ours::applied(&mut rows, &live, sent.count, &persister).await?;
    ours::stop(&persister).await?;
    let (p50_ms, p99_ms) = delays(&mut rows, &sent).await?;
    rig.drop(rows.close().await?).await?;
    let rate = sent.count as f64 / sent.seconds;
    Ok(Freshness { contender: Contender::Ours, flooded, rate, p50_ms, p99_ms })
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
    Ok(Sent { first: begin.plus(WARM_UP), last, count, seconds })
}

/// The version is when it was sent; PostgreSQL tells when the row was committed.
async fn delays(rows: &mut Rows, sent: &Sent) -> Result<(f64, f64), Error> {
    let query = format!(
        "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 - base_version / 1000.0 \
         FROM inventory_all.bench_vm WHERE base_version BETWEEN {} AND {}",
        sent.first.micros(),
        sent.last.micros()
    );
    rows.percentiles(&query).await
}
