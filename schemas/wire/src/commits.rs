//! What the group is told of how far its topics have been applied.
//!
//! Each commit is a record in a log of Kafka's, by a thread that all groups share. A lane moves on
//! a hundred times a second, and nobody looks that often at a lag.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use records::{Offset, Partition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What our commits carry, so that those of a person's tool can be told from them.
pub(crate) const MARK: &str = "tributary";
/// How long an offset may wait for newer ones.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// The newest offsets that Kafka has not been told of. Only the reader's thread locks them: they
/// are what the client's callbacks share with their thread.
#[derive(Default)]
pub(crate) struct Commits(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    next: BTreeMap<(Arc<str>, Partition), Offset>,
    due: Option<Instant>,
}

impl Commits {
    /// These are the newest of their partitions.
    pub(crate) fn keep(&self, topic: &Arc<str>, next: Vec<(Partition, Offset)>, now: Instant) {
        let mut waiting = self.lock();
        waiting.next.extend(next.into_iter().map(|(p, next)| ((Arc::clone(topic), p), next)));
        waiting.due.get_or_insert(now + COMMIT_EVERY);
    }

    /// Whether some have waited long enough.
    pub(crate) fn are_due(&self, now: Instant) -> bool {
        self.lock().due.is_some_and(|due| due <= now)
    }

    /// Sends all, without waiting for the answer.
    ///
    /// # Errors
    /// The client's.
    pub(crate) fn send<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
    ) -> Result<(), KafkaError> {
        let list = self.take();
        if list.count() == 0 { Ok(()) } else { consumer.commit(&list, CommitMode::Async) }
    }

    fn take(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in std::mem::take(&mut *self.lock()).next {
            let mut element = list.add_partition(&topic, partition.0);
            element
                .set_offset(KafkaOffset::Offset(next.0))
                .expect("an offset of ours is zero or more");
            element.set_metadata(MARK);
        }
        list
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_partition_is_sent_after_the_oldest_has_waited() {
        let (commits, start) = (Commits::default(), Instant::now());
        let keep = |topic: &str, partition, next, millis| {
            let at = start + Duration::from_millis(millis);
            commits.keep(&topic.into(), vec![(Partition(partition), Offset(next))], at);
        };
        let are_due = |millis| commits.are_due(start + Duration::from_millis(millis));
        assert!(!are_due(5_000), "nothing waits");
        keep("a", 0, 4, 0);
        keep("a", 0, 9, 900);
        keep("a", 1, 2, 900);
        keep("b", 0, 7, 900);
        assert!(!are_due(999) && are_due(1_000), "newer ones don't put it off");
        let list = commits.take();
        let taken = list.elements();
        let taken = taken.iter().map(|e| (e.topic(), e.partition(), e.offset().to_raw()));
        let sent = [("a", 0, Some(9)), ("a", 1, Some(2)), ("b", 0, Some(7))];
        assert_eq!(taken.collect::<Vec<_>>(), sent);
        assert!(!are_due(5_000) && commits.take().count() == 0, "they are sent once");
    }
}
