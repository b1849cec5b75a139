//! What may be asked of a reader from outside its thread.

use crate::events::PartitionStart;
use records::{Offset, Partition};
use std::sync::{Arc, mpsc};

/// What the thread is told to do.
pub(crate) enum Command {
    Assign(Vec<(Partition, PartitionStart)>),
    Unassign(Vec<Partition>),
    Reset(Vec<(Partition, PartitionStart)>),
    Commit(Arc<str>, Vec<(Partition, Offset)>),
    /// The client has something.
    Look,
}

/// Commands to a reader thread; one that has ended ignores them.
#[derive(Clone)]
pub struct ReaderHandle {
    pub(crate) commands: mpsc::Sender<Command>,
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

    /// Tells the group, within a second or so, how far a topic has been applied: a courtesy for lag
    /// tools.
    pub fn commit(&self, topic: &str, next: Vec<(Partition, Offset)>) {
        self.command(Command::Commit(topic.into(), next));
    }

    fn command(&self, command: Command) {
        // Refused only by a thread that has ended.
        let _ = self.commands.send(command);
    }
}
