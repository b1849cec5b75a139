//! Who owns what: partitions of both lanes come and go together.

use crate::error::PersistError;
use crate::transaction::{Owner, take_over};
use chassis::{Backoff, Health};
use records::{Offset, Partition};
use schemas::database::{DatabaseSettings, connect_one};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wire::{PartitionStart, Positions, ReaderHandle};

/// Takes partitions of both lanes over, inside the rebalance callback of the live one.
pub struct Ownership {
    /// Where the questions are asked: the callback is on a thread of its own.
    pub runtime: Handle,
    /// Where connections come from.
    pub database: DatabaseSettings,
    /// Whose positions of the live lane.
    pub live: Owner,
    /// Whose positions of the snapshot lane.
    pub snapshot: Owner,
    /// Commands to the snapshot lane's reader.
    pub snapshot_reader: ReaderHandle,
    /// Who hears that the group was joined.
    pub health: Health,
    /// Ends the tries.
    pub stop: CancellationToken,
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
        self.health.ready("group", Ok(()));
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
