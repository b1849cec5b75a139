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
    next: watch::Sender<HashMap<Partition, Offset>>,
    admin: Admin,
}

impl Progress {
    /// No partition yet.
    #[must_use]
    pub fn new(topic: String, admin: Admin) -> Self {
        Self { topic, next: watch::Sender::new(HashMap::new()), admin }
    }

    /// The lane's topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The lane has committed up to these offsets of partitions that are its own.
    pub fn applied(&self, next: impl IntoIterator<Item = (Partition, Offset)>) {
        self.next.send_modify(|known| known.extend(next));
    }

    /// The partition is another member's.
    pub fn released(&self, partition: Partition) {
        self.next.send_if_modified(|known| known.remove(&partition).is_some());
    }

    /// The lane's partitions and their positions.
    #[must_use]
    pub fn positions(&self) -> HashMap<Partition, Offset> {
        self.next.borrow().clone()
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
        let reached = |applied: &HashMap<Partition, Offset>| {
            ends.iter().all(|(partition, end)| {
                end.0 == 0 || applied.get(partition).is_some_and(|next| next >= end)
            })
        };
        let mut applied = self.next.subscribe();
        let waited = tokio::time::timeout(WAIT_MAX, applied.wait_for(reached)).await;
        matches!(waited, Ok(Ok(_)))
    }
}
