//! What a reader thread tells its lane, in one order per partition.

use crate::KafkaProblem;
use crate::room::{Held, Room};
use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Message};
use records::{Offset, Partition};

/// What a reader thread tells its lane.
#[derive(Debug)]
pub enum Event {
    /// The partition is read from here on.
    Assigned {
        /// The partition.
        partition: Partition,
        /// Where it begins.
        start: PartitionStart,
    },
    /// The partition is another member's.
    Revoked {
        /// The partition.
        partition: Partition,
    },
    /// A record.
    Record(Incoming),
    /// Nothing is left of the partition before this offset, though the last record was not the one
    /// before it: transactions end with marks, and what they have aborted is left out.
    AtEnd {
        /// The partition.
        partition: Partition,
        /// The offset that the next record may have.
        next: Offset,
    },
    /// Something failed; the client goes on trying.
    Problem(KafkaProblem),
}

impl Event {
    /// The record, if it is one.
    #[must_use]
    pub fn into_record(self) -> Option<Incoming> {
        if let Self::Record(record) = self { Some(record) } else { None }
    }
}

/// A record as it was fetched.
#[derive(Debug)]
pub struct Incoming {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// When it was made or appended, in milliseconds since the epoch, as the topic is set.
    pub timestamp_ms: Option<i64>,
    /// What it takes of its reader's memory.
    pub held: Held,
}

/// What a partition holds: offsets from `first` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The oldest record's; what was before it has been deleted.
    pub first: Offset,
    /// The one that the next record will get.
    pub end: Offset,
}

impl LogRange {
    /// How many records are left from a position on.
    #[must_use]
    pub fn lag(self, next: Offset) -> i64 {
        (self.end.0 - next.max(self.first).0).max(0)
    }
}

/// Where to begin to read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionStart {
    /// At the oldest record that is kept.
    Beginning,
    /// At this record.
    At(Offset),
}

impl PartitionStart {
    /// The start for a position; zero is the beginning.
    #[must_use]
    pub const fn from_next(next: Offset) -> Self {
        if next.0 == 0 { Self::Beginning } else { Self::At(next) }
    }

    /// The offset that its first record may have, if that is known.
    pub(crate) const fn next(self) -> Option<Offset> {
        match self {
            Self::Beginning => None,
            Self::At(next) => Some(next),
        }
    }

    pub(crate) const fn offset(self) -> rdkafka::Offset {
        match self {
            Self::Beginning => rdkafka::Offset::Beginning,
            Self::At(offset) => rdkafka::Offset::Offset(offset.0),
        }
    }
}

impl Incoming {
    /// Where it is in its topic.
    #[must_use]
    pub const fn place(&self) -> (Partition, Offset) {
        (self.partition, self.offset)
    }

    /// The bytes of its key and its value.
    #[must_use]
    pub fn size(&self) -> usize {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        of(&self.key) + of(&self.payload)
    }

    /// Copies a record into a room.
    pub(crate) fn copy(message: &BorrowedMessage<'_>, room: &Room) -> Self {
        Self {
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
            key: message.key().map(|key| room.copy(key)),
            payload: message.payload().map(|payload| room.copy(payload)),
            timestamp_ms: message.timestamp().to_millis(),
            held: room.take(message.key_len() + message.payload_len()),
        }
    }
}
