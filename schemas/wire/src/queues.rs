//! The client's queues, one for each partition that is read.
//!
//! The client fetches for a queue that runs low. If all partitions shared one that a backlog keeps
//! full, then those that the client looks at first would get all of its room, one after the other
//! to its end, and the others' records, however new, would wait for that.

use crate::handle::Command;
use crate::rebalance::Rebalancing;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use records::Partition;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// How many records of a partition are taken before it is the next one's turn.
const TURN: usize = 256;

type Queue = PartitionQueue<Rebalancing>;

/// What a queue has: a record, or what became of reading the next one.
pub(crate) type Polled<'a> = Result<BorrowedMessage<'a>, KafkaError>;

/// How a round over all queues has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Some had something.
    Moved,
    /// None had something, or nobody had room for it.
    Stuck,
    /// None had something.
    Idle,
}

/// The queues of a reader's partitions. Only the reader's thread locks them, and not while it polls
/// the client itself, whose callbacks change them.
pub(crate) struct Queues {
    consumer: OnceLock<Weak<BaseConsumer<Rebalancing>>>,
    by_partition: Mutex<BTreeMap<Partition, Queue>>,
    /// Wakes the thread.
    commands: Sender<Command>,
}

impl Queues {
    pub(crate) fn new(commands: Sender<Command>) -> Self {
        Self { consumer: OnceLock::new(), by_partition: Mutex::default(), commands }
    }

    /// Whose partitions they are: it is made after them, because it calls back to them.
    pub(crate) fn belong_to(&self, consumer: &Arc<BaseConsumer<Rebalancing>>) {
        // Told once, by whoever has made both.
        let _ = self.consumer.set(Arc::downgrade(consumer));
    }

    /// Gives these partitions queues of their own, before they are assigned: what the client has
    /// fetched for its common queue comes from there.
    pub(crate) fn open(&self, topic: &str, partitions: impl IntoIterator<Item = Partition>) {
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else { return };
        let mut queues = self.lock();
        for partition in partitions {
            // First: the end of the old one also ends what wakes the thread for the new one.
            queues.remove(&partition);
            if let Some(mut queue) = consumer.split_partition_queue(topic, partition.0) {
                let commands = self.commands.clone();
                // Refused only by a thread that has ended.
                queue.set_nonempty_callback(move || drop(commands.send(Command::Look)));
                queues.insert(partition, queue);
            }
        }
    }

    pub(crate) fn close(&self, partitions: &[Partition]) {
        self.lock().retain(|partition, _| !partitions.contains(partition));
    }

    /// Each of them keeps the client alive.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    /// Takes a turn of each partition that has room for it.
    pub(crate) fn round(
        &self,
        has_room: impl Fn(Partition) -> bool,
        mut tell: impl FnMut(Polled<'_>),
    ) -> Round {
        let mut round = Round::Idle;
        for (partition, queue) in self.lock().iter() {
            for _ in 0..TURN {
                if !has_room(*partition) {
                    round = if round == Round::Idle { Round::Stuck } else { round };
                    break;
                }
                let Some(polled) = queue.poll(Duration::ZERO) else { break };
                round = Round::Moved;
                tell(polled);
            }
        }
        round
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Queue>> {
        self.by_partition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
