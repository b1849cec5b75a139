//! What a reader thread tells its lane, in one order per partition.

use crate::KafkaProblem;
use crate::room::{Held, Room};
use rdkafka::message::{BorrowedMessage, Message};
use records::{Offset, Partition};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

/// Events between a thread and its lane.
const EVENTS_MAX: usize = 20_000;
/// How long a full channel or room is left alone before the next try.
const FULL_PAUSE: Duration = Duration::from_millis(1);

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
    /// Something failed; the client goes on trying.
    Problem(KafkaProblem),
}

/// A record as it was fetched.
#[derive(Debug)]
pub struct Incoming {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
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

    pub(crate) const fn offset(self) -> rdkafka::Offset {
        match self {
            Self::Beginning => rdkafka::Offset::Beginning,
            Self::At(offset) => rdkafka::Offset::Offset(offset.0),
        }
    }
}

impl From<&BorrowedMessage<'_>> for Incoming {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis(),
            held: Held::default(),
        }
    }
}

/// The thread's end of the channel.
pub(crate) struct EventSink {
    sender: mpsc::Sender<Event>,
    room: Room,
    stop: CancellationToken,
}

impl EventSink {
    pub(crate) fn new(stop: CancellationToken, room: Room) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        (Self { sender, room, stop }, receiver)
    }

    /// Waits while the records that are still held fill the room.
    pub(crate) fn tell_record(&self, message: &BorrowedMessage<'_>) {
        while self.room.is_full() && !self.stop.is_cancelled() {
            std::thread::sleep(FULL_PAUSE);
        }
        let bytes = message.key_len() + message.payload_len();
        let held = self.room.take(bytes);
        self.tell(Event::Record(Incoming { held, ..message.into() }));
    }

    /// Waits while the channel is full; gives up when the reader is stopped or the lane has gone.
    pub(crate) fn tell(&self, mut event: Event) {
        while let Err(TrySendError::Full(back)) = self.sender.try_send(event) {
            if self.stop.is_cancelled() {
                return;
            }
            event = back;
            std::thread::sleep(FULL_PAUSE);
        }
    }

    pub(crate) fn tell_assigned(&self, starts: &[(Partition, PartitionStart)]) {
        for (partition, start) in starts {
            self.tell(Event::Assigned { partition: *partition, start: *start });
        }
    }

    pub(crate) fn tell_revoked(&self, partitions: &[Partition]) {
        for partition in partitions {
            self.tell(Event::Revoked { partition: *partition });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody drains the channel: a thread that waited for ever could not be joined.
    #[test]
    fn a_full_channel_does_not_outlast_the_stop() {
        let stop = CancellationToken::new();
        let (sink, receiver) = EventSink::new(stop.clone(), Room::new(1));
        stop.cancel();
        let partition = Partition(0);
        (0..=EVENTS_MAX).for_each(|_| sink.tell(Event::Revoked { partition }));
        assert_eq!(receiver.len(), EVENTS_MAX);
    }
}
