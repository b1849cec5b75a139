//! How far a lane is: kept by the lane, asked by the other one and by the gauges.

use crate::PositionError;
use records::{Offset, Partition};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;
use wire::{Admin, LogRange};

/// How long a snapshot batch waits for the live lane before it writes versions instead.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// A lane's partitions and their committed positions; clones share them.
#[derive(Clone)]
pub struct Progress {
    topic: String,
    /// With the number of the lane's connection that takes care of the partition.
    next: watch::Sender<HashMap<Partition, (usize, Offset)>>,
    connection: usize,
    admin: Admin,
}

impl Progress {
    /// No partition yet.
    #[must_use]
    pub fn new(topic: String, admin: Admin) -> Self {
        Self { topic, next: watch::Sender::new(HashMap::new()), connection: 0, admin }
    }

    /// The lane's topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The same, for one of the lane's connections.
    #[must_use]
    pub fn of_connection(&self, number: usize) -> Self {
        Self { connection: number, ..self.clone() }
    }

    /// The connection has committed up to these offsets of partitions that are its own.
    pub fn applied(&self, next: impl IntoIterator<Item = (Partition, Offset)>) {
        let next = next.into_iter().map(|(partition, next)| (partition, (self.connection, next)));
        self.next.send_modify(|known| known.extend(next));
    }

    /// The partition is not this connection's any more.
    pub fn released(&self, partition: Partition) {
        let is_own = |known: &HashMap<Partition, (usize, Offset)>| {
            known.get(&partition).is_some_and(|(connection, _)| *connection == self.connection)
        };
        self.next.send_if_modified(|known| is_own(known) && known.remove(&partition).is_some());
    }

    /// How many of the lane's connections have partitions.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.next.borrow().values().map(|(connection, _)| connection).collect::<HashSet<_>>().len()
    }

    /// The lane's partitions and their positions.
    #[must_use]
    pub fn positions(&self) -> HashMap<Partition, Offset> {
        self.next.borrow().iter().map(|(partition, (_, next))| (*partition, *next)).collect()
    }

    /// What the lane's partitions hold at the time of the call.
    ///
    /// # Errors
    /// If the broker can't be asked.
    pub async fn ranges(&self) -> Result<Vec<(Partition, LogRange)>, PositionError> {
        let partitions: Vec<Partition> = self.positions().into_keys().collect();
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.admin.ranges_of(&self.topic, partitions).await?)
    }

    /// Where these partitions end at the time of the call.
    ///
    /// # Errors
    /// If the broker can't be asked.
    pub async fn ends(
        &self,
        partitions: HashSet<Partition>,
    ) -> Result<Vec<(Partition, Offset)>, PositionError> {
        Ok(self.admin.ends(&self.topic, partitions.into_iter().collect()).await?)
    }

    /// Whether everything before these offsets has been committed, waiting a little for it.
    pub async fn reaches(&self, ends: &[(Partition, Offset)]) -> bool {
        let reached = |applied: &HashMap<Partition, (usize, Offset)>| {
            ends.iter().all(|(partition, end)| {
                end.0 == 0 || applied.get(partition).is_some_and(|(_, next)| next >= end)
            })
        };
        let mut applied = self.next.subscribe();
        let waited = tokio::time::timeout(WAIT_MAX, applied.wait_for(reached)).await;
        matches!(waited, Ok(Ok(_)))
    }
}
