//! What may be asked of a reader from outside its thread.

use crate::KafkaProblem;
use crate::events::{LogRange, PartitionStart};
use crate::place::Place;
use crate::rebalance::Rebalancing;
use rdkafka::consumer::{BaseConsumer, Consumer};
use records::{Offset, Partition};
use std::sync::{Weak, mpsc};
use std::time::Duration;

/// The most that a question to the broker may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What the thread is told to do.
pub(crate) enum Command {
    Assign(Vec<(Partition, PartitionStart)>),
    Unassign(Vec<Partition>),
    Reset(Vec<(Partition, PartitionStart)>),
    Commit(Place, Vec<(Partition, Offset)>),
}

/// Commands to a reader thread; one that has ended ignores them.
#[derive(Clone)]
pub struct ReaderHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    /// The thread owns the client, so that it is closed there: closing blocks.
    pub(crate) consumer: Weak<BaseConsumer<Rebalancing>>,
    pub(crate) place: Place,
}

impl ReaderHandle {
    /// Reads these partitions too, from there.
    pub fn assign(&self, starts: Vec<(Partition, PartitionStart)>) {
        self.command(Command::Assign(starts));
    }

    /// Reads these partitions no more.
    pub fn unassign(&self, partitions: Vec<Partition>) {
        self.command(Command::Unassign(partitions));
    }

    /// Reads partitions again from there; their next event is a new assignment, unless they have
    /// been revoked meanwhile.
    pub fn reset(&self, starts: Vec<(Partition, PartitionStart)>) {
        self.command(Command::Reset(starts));
    }

    /// Tells the group how far a topic has been applied: a courtesy for lag tools.
    pub fn commit(&self, topic: &str, next: Vec<(Partition, Offset)>) {
        self.command(Command::Commit(self.place.of_topic(topic), next));
    }

    /// What the partition holds, asked of the broker now.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`] if it does not answer.
    pub async fn range(&self, partition: Partition) -> Result<LogRange, KafkaProblem> {
        let handle = self.clone();
        tokio::task::spawn_blocking(move || handle.ask_range(partition))
            .await
            .map_err(|_| KafkaProblem::Stopped)?
    }

    fn ask_range(&self, partition: Partition) -> Result<LogRange, KafkaProblem> {
        let consumer = self.consumer.upgrade().ok_or(KafkaProblem::Stopped)?;
        let (first, end) = consumer
            .fetch_watermarks(&self.place.topic, partition.0, ANSWER)
            .map_err(|source| self.place.failed("asking for the end of", source))?;
        Ok(LogRange { first: Offset(first), end: Offset(end) })
    }

    fn command(&self, command: Command) {
        // Refused only by a thread that has ended.
        let _ = self.commands.send(command);
    }
}
