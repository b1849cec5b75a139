//! The rebalance callback: partitions of a group come and go with their owner's knowledge.

use crate::PartitionStart;
use crate::commits::Commits;
use crate::place::Place;
use crate::queues::Queues;
use crate::quiet::note;
use crate::sink::EventSink;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use records::Partition;
use std::sync::Arc;

/// Who knows where partitions begin; called on the reader thread, inside the rebalance callback.
pub trait Positions: Send + Sync {
    /// Becomes the owner and says where to begin; no partitions: the group has more members than
    /// partitions. It may block, and must answer.
    fn take_over(&self, partitions: &[Partition]) -> Vec<(Partition, PartitionStart)>;

    /// The partitions belong to another member from now on.
    fn released(&self, partitions: &[Partition]);
}

/// What the client calls back; it lives as long as the client.
pub(crate) struct Rebalancing {
    pub(crate) events: EventSink,
    /// None for a reader without group.
    pub(crate) positions: Option<Arc<dyn Positions>>,
    pub(crate) place: Place,
    pub(crate) queues: Queues,
    pub(crate) commits: Commits,
}

impl ClientContext for Rebalancing {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Commits are a courtesy, and each one around a rebalance fails: the next owner's count.
        let level = if facility == "COMMITFAIL" { RDKafkaLogLevel::Debug } else { level };
        DefaultClientContext.log(level, facility, message);
    }
}

impl ConsumerContext for Rebalancing {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        // Every event is answered, also while closing: the client waits for the answer.
        let answered = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions)
            }
            _ => self.revoke(consumer, partitions),
        };
        if let Err(source) = answered {
            let problem = self.place.failed("answering a rebalance of", source);
            self.events.tell_problem(&problem);
        }
    }
}

impl Rebalancing {
    /// Partitions without a start (the owner is stopping) are answered too, and never told.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let numbers = numbers(partitions);
        let starts = match &self.positions {
            Some(positions) => positions.take_over(&numbers),
            None => Vec::new(),
        };
        for (partition, start) in &starts {
            if let Some(mut element) = partitions.find_partition(&self.place.topic, partition.0) {
                element.set_offset(start.offset())?;
            }
        }
        self.events.tell_assigned(&starts);
        self.queues.open(&self.place.topic, numbers);
        consumer.incremental_assign(partitions)
    }

    fn revoke(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let numbers = numbers(partitions);
        if let Some(positions) = &self.positions {
            positions.released(&numbers);
        }
        // Before the next owner's.
        let told = self.commits.send(consumer);
        let done = consumer.incremental_unassign(partitions);
        self.queues.close(&numbers);
        self.events.tell_revoked(&numbers);
        told.and(done)
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<Partition> {
    partitions.elements().iter().map(|element| Partition(element.partition())).collect()
}
