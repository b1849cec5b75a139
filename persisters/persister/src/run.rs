//! Both lanes of one member of the group: threads, tasks, and who owns what.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::lag;
use crate::lane::Lane;
use crate::metrics::{Lane as LaneName, Metrics};
use crate::progress::Progress;
use crate::purge::Purger;
use crate::settings::Settings;
use crate::types::Types;
use chassis::Health;
use positions::{Keeper, Owner, Ownership, Refresh};
use records::{Topic, Version};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::{Admin, GroupOptions, Reader, Registry};

/// What must be well before the persister is ready.
pub const COMPONENTS: [&str; 2] = ["group", "database"];

/// Runs both lanes until `stop`.
///
/// # Errors
/// What a person must mend; everything else is tried again.
pub async fn run(
    settings: &Settings,
    metrics: &Metrics,
    health: &Health,
    stop: CancellationToken,
) -> Result<(), PersistError> {
    let member = format!("{}-{}", settings.group, Version::now());
    let owner = |topic| Owner { topic: settings.kafka.topic(topic), member: member.clone() };
    let (live, snapshot) = (owner(Topic::InventoryLive), owner(Topic::InventorySnapshot));
    let options = GroupOptions {
        group: settings.group.clone(),
        instance_id: settings.instance.clone(),
        queue_kibibytes_max: settings.queue_kibibytes_max,
    };
    let (snapshot_reader, snapshot_events) =
        Reader::of_partitions(&settings.kafka, &snapshot.topic, &options)?;
    let registry = Registry::new(&settings.registry)?;
    let keeper = Keeper {
        admin: Admin::new(&settings.kafka, &settings.group)?,
        refresh: Refresh { kafka: settings.kafka.clone(), registry: registry.clone() },
    };
    let ownership = Arc::new(Ownership {
        runtime: Handle::current(),
        database: settings.database.clone(),
        live: live.clone(),
        snapshot: snapshot.clone(),
        snapshot_reader: snapshot_reader.handle(),
        keeper: keeper.clone(),
        health: health.clone(),
        stop: stop.clone(),
    });
    let (live_reader, live_events) =
        Reader::of_group(&settings.kafka, &live.topic, &options, ownership)?;
    let letters = DeadLetters::new(&settings.kafka)?;
    let live_progress = Progress::new(live.topic.clone(), keeper.admin.clone());
    let snapshot_progress = Progress::new(snapshot.topic.clone(), keeper.admin.clone());
    let lane = |name, owner, reader: &Reader, events| Lane {
        name,
        progress: match name {
            LaneName::Live => live_progress.clone(),
            LaneName::Snapshot => snapshot_progress.clone(),
        },
        owner,
        database: settings.database.clone(),
        reader: reader.handle(),
        group: live_reader.handle(),
        events,
        keeper: keeper.clone(),
        types: Types::new(registry.clone()),
        dead_letters: letters.clone(),
        metrics: metrics.clone(),
        health: health.clone(),
        live: live_progress.clone(),
        batch_records: settings.batch_records,
    };
    let mut lanes = JoinSet::new();
    lanes.spawn(lane(LaneName::Live, live, &live_reader, live_events).run(stop.clone()));
    lanes.spawn(
        lane(LaneName::Snapshot, snapshot, &snapshot_reader, snapshot_events).run(stop.clone()),
    );
    let measured = [live_progress.clone(), snapshot_progress.clone()];
    lanes.spawn(lag::measure(measured, metrics.clone(), stop.clone()));
    lanes.spawn(purger(settings, metrics).run(stop.clone()));
    let result = until_all_have_ended(lanes, &stop).await;
    // The threads are joined beside the tasks, because joining blocks.
    let readers = tokio::task::spawn_blocking(move || drop((live_reader, snapshot_reader)));
    result.and(readers.await.map_err(PersistError::Lane))
}

fn purger(settings: &Settings, metrics: &Metrics) -> Purger {
    Purger {
        database: settings.database.clone(),
        every: settings.purge_every,
        retention: settings.tombstone_retention,
        metrics: metrics.clone(),
    }
}

/// The end of one task stops all others.
async fn until_all_have_ended(
    mut tasks: JoinSet<Result<(), PersistError>>,
    stop: &CancellationToken,
) -> Result<(), PersistError> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        stop.cancel();
        result = result.and(ended.unwrap_or_else(|panic| Err(PersistError::Lane(panic))));
    }
    result
}
