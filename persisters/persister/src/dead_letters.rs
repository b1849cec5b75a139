//! The side door: rejected records go to the dead-letter topic with reason and origin.

use crate::decode::Rejected;
use crate::error::PersistError;
use records::{Topic, Version};
use wire::{Incoming, KafkaProblem, KafkaSettings, Outgoing, Publisher};

/// Sends rejected records and waits until the broker has them.
#[derive(Clone)]
pub struct DeadLetters {
    kafka: KafkaSettings,
    publisher: Publisher,
}

impl DeadLetters {
    /// Connects in the background.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn new(kafka: &KafkaSettings) -> Result<Self, KafkaProblem> {
        Ok(Self { kafka: kafka.clone(), publisher: Publisher::new(kafka)? })
    }

    /// Sends the rejected of the fetched records of `origin`; at least once, identified by origin.
    ///
    /// # Errors
    /// If the broker does not acknowledge: the batch must not be committed.
    pub async fn send(
        &mut self,
        origin: &str,
        fetched: &[Incoming],
        rejected: &[Rejected],
    ) -> Result<(), PersistError> {
        if rejected.is_empty() {
            return Ok(());
        }
        let sent = self.try_send(origin, fetched, rejected).await;
        if sent.is_err() {
            // A publisher that has failed once fails for ever, to keep its order.
            self.publisher = Publisher::new(&self.kafka)?;
        }
        Ok(sent?)
    }

    async fn try_send(
        &self,
        origin: &str,
        fetched: &[Incoming],
        rejected: &[Rejected],
    ) -> Result<(), KafkaProblem> {
        for reject in rejected {
            let record = &fetched[reject.origin];
            let outgoing = Outgoing {
                topic: self.kafka.topic(Topic::DeadLetters),
                key: record.key.clone(),
                payload: record.payload.clone(),
                headers: headers(origin, record, reject),
            };
            self.publisher.send(outgoing).await?;
        }
        self.publisher.acknowledged().await
    }
}

fn headers(origin: &str, record: &Incoming, reject: &Rejected) -> Vec<(String, Vec<u8>)> {
    [
        ("error-class", reject.class.to_owned()),
        ("error-message", reject.message.clone()),
        ("topic", origin.to_owned()),
        ("partition", record.partition.to_string()),
        ("offset", record.offset.to_string()),
        ("rejected-at", Version::now().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("tributary-{name}"), value.into_bytes()))
    .collect()
}
