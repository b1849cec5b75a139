//! Which topic of which brokers: what every problem names.

use crate::{KafkaProblem, KafkaSettings};
use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use records::Partition;
use std::sync::Arc;

/// A topic and where it is.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) topic: Arc<str>,
    brokers: Arc<str>,
}

impl Place {
    pub(crate) fn new(settings: &KafkaSettings, topic: &str) -> Self {
        Self { topic: topic.into(), brokers: settings.bootstrap_servers.as_str().into() }
    }

    /// The problem of an `action` on the topic, such as `reading`.
    pub(crate) fn failed(&self, action: &str, source: KafkaError) -> KafkaProblem {
        if source.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            return KafkaProblem::PositionLost { topic: self.topic.to_string() };
        }
        KafkaProblem::of(format!("{action} {}", self.topic), &self.brokers, source)
    }

    /// The topic's partitions, each with an offset.
    pub(crate) fn list(
        &self,
        partitions: impl IntoIterator<Item = (Partition, rdkafka::Offset)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            list.add_partition_offset(&self.topic, partition.0, offset)
                .expect("an offset of ours is zero or more, or the beginning");
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_what_where_and_whether_time_heals_them() {
        let place = Place::new(&KafkaSettings::plain("b:1", "t."), "t.metrics");
        let failed = |code| place.failed("reading", KafkaError::MessageConsumption(code));
        let down = failed(RDKafkaErrorCode::BrokerTransportFailure);
        assert!(down.to_string().starts_with("reading t.metrics at Kafka (b:1): "), "{down}");
        assert!(!down.is_final());
        assert!(failed(RDKafkaErrorCode::TopicAuthorizationFailed).is_final());
        let refused = failed(RDKafkaErrorCode::Authentication);
        assert!(matches!(refused, KafkaProblem::Refused { .. }) && refused.is_final(), "{refused}");
        let lost = failed(RDKafkaErrorCode::AutoOffsetReset);
        assert!(matches!(lost, KafkaProblem::PositionLost { .. }) && lost.is_final(), "{lost}");
    }
}
