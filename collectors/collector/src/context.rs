//! What every part of the engine needs to talk to Kafka about its source.

use crate::{CollectError, Metrics};
use apache_avro::Schema;
use records::contract::ContractRecord;
use records::{SourceName, Topic};
use wire::{KafkaSettings, Registry, Table, unframe};

/// The source and the way to Kafka, the registry, and metrics.
#[derive(Debug, Clone)]
pub struct Context {
    /// The source that is collected.
    pub source: SourceName,
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The schema registry.
    pub registry: Registry,
    /// Metrics.
    pub metrics: Metrics,
}

impl Context {
    /// Follows a key of a compacted topic.
    ///
    /// # Errors
    /// Kafka's.
    pub async fn table(&self, topic: Topic, key: &str) -> Result<Table, CollectError> {
        Ok(Table::follow(&self.kafka, &self.kafka.topic(topic), key).await?)
    }

    /// Decodes a framed record that was found in `topic`, by its writer's schema.
    ///
    /// # Errors
    /// [`CollectError::Contract`] if it is none of this kind; [`CollectError::Registry`].
    pub async fn decode<R: ContractRecord>(
        &self,
        topic: Topic,
        payload: &[u8],
    ) -> Result<R, CollectError> {
        let wrong = |reason: String| CollectError::Contract {
            topic: self.kafka.topic(topic),
            source_name: self.source.to_string(),
            reason,
        };
        let (id, avro) = unframe(payload).map_err(|error| wrong(error.to_string()))?;
        let json = self.registry.schema(id).await?;
        let writer = Schema::parse_str(&json).map_err(|error| wrong(error.to_string()))?;
        R::decode(&writer, avro).map_err(|error| wrong(error.to_string()))
    }
}
