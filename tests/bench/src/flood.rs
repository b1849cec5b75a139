//! How long small sources' changes take while one source sends as fast as it can, on the same lane.

use crate::cores::Divided;
use crate::error::Error;
use crate::freshness::{Beside, Freshness, RATE, WARM_UP, delays, send};
use crate::ours;
use crate::produce::{Form, Producer};
use crate::rig::{Closed, Rig};
use crate::trial::Contender;
use records::{Topic, Version};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use workloads::{Item, Workload};

/// How many small sources.
const SOURCES: u64 = 100;

/// How long they send.
const LENGTH: Duration = Duration::from_secs(10);

/// How many objects they have together: each is updated once.
const OBJECTS: u64 = LENGTH.as_secs() * RATE;

/// The commits of the small sources' updates.
const SMALL: &str = "(SELECT xmin, base_version FROM inventory_all.bench_vm \
     WHERE source <> 'bench') AS small";

/// What is beside the small sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Nothing, and the cores are divided: what the next case is compared with.
    Quiet,
    /// A flood, while PostgreSQL and the persister have half of the cores to themselves.
    Divided,
    /// A flood that takes what cores it gets.
    Shared,
}

/// What one source sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Flood {
    /// Records in a second.
    pub rate: f64,
    /// Records of the lane that were not applied when it ended.
    pub left: u64,
}

impl Case {
    /// All, in the order of the report.
    pub const ALL: [Self; 3] = [Self::Quiet, Self::Divided, Self::Shared];
}

/// Measures ours on a copy of the loaded rows, which are those of the source that floods.
///
/// # Errors
/// What stopped it.
pub async fn ours(rig: &Rig, loaded: &Closed, case: Case) -> Result<Freshness, Error> {
    let prefix = format!("flood-{}.", rig.next());
    let live = Topic::InventoryLive.name(&prefix);
    rig.make_topics(&prefix).await?;
    let small = Producer::new(rig, Form::Ours, live.clone()).await?.of_sources(SOURCES);
    small.send_all(Workload::Load.items(OBJECTS, rig.epoch), false).await?;
    let mut rows = rig.copy_of(loaded).await?;
    rig.checkpoint().await?;
    let persister = ours::start(rig, &prefix, &rows.url, None)?;
    ours::applied(&mut rows, &live, OBJECTS, &persister).await?;
    let divided = if case == Case::Shared { None } else { Some(Divided::new(rig, &persister)?) };
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    if case != Case::Quiet {
        let large = Producer::new(rig, Form::Ours, live.clone()).await?;
        // A thread of its own: it hardly ever waits, and would let no timer run.
        let (records, is_over, runtime) = (rig.records, Arc::clone(&over), Handle::current());
        tasks.spawn_blocking(move || runtime.block_on(flood(large, records, &is_over)));
    }
    tokio::time::sleep(WARM_UP).await;
    let items = Workload::Partial.items(OBJECTS, rig.epoch);
    let (sent, ()) = tokio::join!(send(&small, (items, RATE), &over), async {
        tokio::time::sleep(LENGTH).await;
        over.store(true, Ordering::Relaxed);
    });
    let applied = ours::applied(&mut rows, &live, 0, &persister).await?;
    let flooded = tasks.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let flooded = flooded.into_iter().next();
    let sent = sent?;
    let all = OBJECTS + flooded.map_or(0, |(count, _)| count) + sent.count;
    ours::applied(&mut rows, &live, all, &persister).await?;
    ours::stop(&persister).await?;
    drop(divided);
    let (p50_ms, p99_ms) =
        delays(&mut rows, (SMALL, "base_version"), sent.begin..=sent.last).await?;
    rig.drop(rows.close().await?).await?;
    let flood =
        flooded.map(|(count, seconds)| Flood { rate: count as f64 / seconds, left: all - applied });
    let beside = match (case, flood) {
        (Case::Shared, Some(flood)) => Beside::Flood(flood),
        (_, flood) => Beside::Divided(flood),
    };
    let (contender, rate) = (Contender::Ours, sent.rate());
    Ok(Freshness { contender, beside, rate, p50_ms, p99_ms })
}

/// Sends whole updates until it is over; gives their number, and the seconds.
async fn flood(producer: Producer, objects: u64, over: &AtomicBool) -> Result<(u64, f64), Error> {
    let (begin, mut count) = (Version::now(), 0);
    for item in Workload::Partial.part(objects, 0..u64::MAX, begin) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        producer.send(Item { version: Version::now(), ..item }, false).await?;
        count += 1;
    }
    producer.acknowledged().await?;
    Ok((count, begin.age_seconds(Version::now())))
}
