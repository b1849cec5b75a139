//! The side door: rejected records go to the dead-letter topic with reason and origin.

use crate::decode::Rejected;
use crate::error::PersistError;
use records::Version;
use wire::{Incoming, Outgoing, Publisher};

/// Sends rejected records and waits until the broker has them.
#[derive(Clone)]
pub struct DeadLetters {
    publisher: Publisher,
    topic: String,
}

impl DeadLetters {
    /// To this topic.
    #[must_use]
    pub const fn new(publisher: Publisher, topic: String) -> Self {
        Self { publisher, topic }
    }

    /// Sends the rejected of the fetched records of `origin`; at least once, identified by origin.
    ///
    /// # Errors
    /// If the broker does not acknowledge: the batch must not be committed.
    pub async fn send(
        &self,
        origin: &str,
        fetched: &[Incoming],
        rejected: &[Rejected],
    ) -> Result<(), PersistError> {
        if rejected.is_empty() {
            return Ok(());
        }
        for reject in rejected {
            let record = &fetched[reject.origin];
            let outgoing = Outgoing {
                topic: self.topic.clone(),
                key: record.key.clone(),
                payload: record.payload.clone(),
                headers: headers(origin, record, reject),
            };
            self.publisher.send(outgoing).await?;
        }
        Ok(self.publisher.acknowledged().await?)
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
