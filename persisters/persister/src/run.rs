//! Both lanes of one member of the group: threads, tasks, and who owns what.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::lane::Lane;
use crate::live::LivePositions;
use crate::metrics::{Lane as LaneName, Metrics};
use crate::purge::Purger;
use crate::settings::Settings;
use crate::transaction::{Owner, take_over};
use crate::types::Types;
use chassis::Backoff;
use records::{Offset, Partition, Topic, Version};
use schemas::database::{DatabaseSettings, connect_one};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::{GroupOptions, PartitionStart, Positions, Publisher, Reader, ReaderHandle, Registry};

/// Runs both lanes until `stop`.
///
/// # Errors
/// What a person must mend; everything else is tried again.
pub async fn run(
    settings: &Settings,
    metrics: &Metrics,
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
    let ownership = Arc::new(Ownership {
        runtime: Handle::current(),
        database: settings.database.clone(),
        live: live.clone(),
        snapshot: snapshot.clone(),
        snapshot_reader: snapshot_reader.handle(),
        stop: stop.clone(),
    });
    let (live_reader, live_events) =
        Reader::of_group(&settings.kafka, &live.topic, &options, ownership)?;
    let publisher = Publisher::new(&settings.kafka)?;
    let registry = Registry::new(&settings.registry)?;
    let letters = DeadLetters::new(publisher, settings.kafka.topic(Topic::DeadLetters));
    let positions = LivePositions::new(live_reader.handle());
    let lane = |name, owner, reader: &Reader, events| Lane {
        name,
        owner,
        database: settings.database.clone(),
        reader: reader.handle(),
        group: live_reader.handle(),
        events,
        types: Types::new(registry.clone()),
        dead_letters: letters.clone(),
        metrics: metrics.clone(),
        live: positions.clone(),
        batch_records: settings.batch_records,
    };
    let mut lanes = JoinSet::new();
    lanes.spawn(lane(LaneName::Live, live, &live_reader, live_events).run(stop.clone()));
    lanes.spawn(
        lane(LaneName::Snapshot, snapshot, &snapshot_reader, snapshot_events).run(stop.clone()),
    );
    let purger = Purger {
        database: settings.database.clone(),
        every: settings.purge_every,
        retention: settings.tombstone_retention,
        metrics: metrics.clone(),
    };
    lanes.spawn(purger.run(stop.clone()));
    let mut result = Ok(());
    while let Some(ended) = lanes.join_next().await {
        stop.cancel();
        result = result.and(ended.unwrap_or_else(|panic| Err(PersistError::Lane(panic))));
    }
    // The threads are joined beside the tasks, because joining blocks.
    let readers = tokio::task::spawn_blocking(move || drop((live_reader, snapshot_reader)));
    result.and(readers.await.map_err(PersistError::Lane))
}

/// Takes partitions of both lanes over, inside the rebalance callback of the live one.
struct Ownership {
    runtime: Handle,
    database: DatabaseSettings,
    live: Owner,
    snapshot: Owner,
    snapshot_reader: ReaderHandle,
    stop: CancellationToken,
}

type Next = Vec<(Partition, Option<Offset>)>;

impl Ownership {
    async fn both(&self, partitions: &[Partition]) -> Result<(Next, Next), PersistError> {
        let mut connection = connect_one(&self.database).await?;
        let live = take_over(&mut connection, &self.live, partitions).await?;
        let snapshot = take_over(&mut connection, &self.snapshot, partitions).await?;
        Ok((live, snapshot))
    }

    async fn patiently(&self, partitions: &[Partition]) -> Option<(Next, Next)> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match self.both(partitions).await {
                Ok(next) => return Some(next),
                Err(error) => tracing::warn!("{}", chassis::exit::chain(&error)),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }
}

impl Positions for Ownership {
    fn take_over(&self, partitions: &[Partition]) -> Vec<(Partition, PartitionStart)> {
        let Some((live, snapshot)) = self.runtime.block_on(self.patiently(partitions)) else {
            return Vec::new();
        };
        tracing::info!(partitions = partitions.len(), "partitions assigned");
        self.snapshot_reader.assign(starts(snapshot));
        starts(live)
    }

    fn released(&self, partitions: &[Partition]) {
        tracing::info!(partitions = partitions.len(), "partitions revoked");
        self.snapshot_reader.unassign(partitions.to_vec());
    }
}

fn starts(next: Next) -> Vec<(Partition, PartitionStart)> {
    let start = |next: Option<Offset>| next.map_or(PartitionStart::Beginning, PartitionStart::At);
    next.into_iter().map(|(partition, next)| (partition, start(next))).collect()
}
