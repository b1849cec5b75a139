//! How far the live lane is, for the licence of the snapshot lane.

use crate::error::PersistError;
use records::{Offset, Partition};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;
use wire::ReaderHandle;

/// How long a snapshot batch waits for the live lane before it writes versions instead.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// The live lane's committed positions, shared by both lanes.
#[derive(Clone)]
pub struct LivePositions {
    applied: watch::Sender<HashMap<Partition, Offset>>,
    reader: ReaderHandle,
}

impl LivePositions {
    /// Nothing is known to be applied; `reader` is the live topic's.
    #[must_use]
    pub fn new(reader: ReaderHandle) -> Self {
        Self { applied: watch::Sender::new(HashMap::new()), reader }
    }

    /// The live lane has committed up to these offsets.
    pub fn applied(&self, next: impl IntoIterator<Item = (Partition, Offset)>) {
        self.applied.send_modify(|applied| applied.extend(next));
    }

    /// Whether everything that is on these live partitions at the time of the call has been
    /// committed, waiting a little for it.
    ///
    /// # Errors
    /// If the broker can't be asked.
    pub async fn caught_up(&self, partitions: HashSet<Partition>) -> Result<bool, PersistError> {
        let mut ends = Vec::with_capacity(partitions.len());
        for partition in partitions {
            ends.push((partition, self.reader.range(partition).await?.end));
        }
        let reached = |applied: &HashMap<Partition, Offset>| {
            ends.iter().all(|(partition, end)| {
                end.0 == 0 || applied.get(partition).is_some_and(|next| next >= end)
            })
        };
        let mut applied = self.applied.subscribe();
        let waited = tokio::time::timeout(WAIT_MAX, applied.wait_for(reached)).await;
        Ok(matches!(waited, Ok(Ok(_))))
    }
}
