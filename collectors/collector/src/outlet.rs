//! Where the engine's records go: Kafka, or a test's list.

use crate::CollectError;
use crate::context::Context;
use crate::metrics::LaneLabel;
use records::Topic;
use wire::{Outgoing, Publisher};

/// A record ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The key.
    pub key: String,
    /// The framed value.
    pub payload: Vec<u8>,
}

/// Takes records in order, and tells when all of them are safe.
pub trait Outlet: Send + Sync {
    /// Takes a record, waiting while there is no room.
    fn send(&self, record: Record) -> impl Future<Output = Result<(), CollectError>> + Send;

    /// Waits until everything sent before is acknowledged.
    fn acknowledged(&self) -> impl Future<Output = Result<(), CollectError>> + Send;
}

/// Kafka.
pub struct Kafka {
    publisher: Publisher,
    context: Context,
}

impl Kafka {
    /// Connects in the background.
    ///
    /// # Errors
    /// The settings can't work.
    pub fn new(context: &Context) -> Result<Self, CollectError> {
        Ok(Self { publisher: Publisher::new(&context.kafka)?, context: context.clone() })
    }
}

impl Outlet for Kafka {
    async fn send(&self, record: Record) -> Result<(), CollectError> {
        let lane = match record.topic {
            Topic::InventoryLive => "live",
            Topic::InventorySnapshot => "snapshot",
            other => other.suffix(),
        };
        self.context.metrics.records.get_or_create(&LaneLabel { lane }).inc();
        let outgoing = Outgoing {
            topic: self.context.kafka.topic(record.topic),
            key: Some(record.key.into_bytes()),
            payload: Some(record.payload),
            headers: Vec::new(),
        };
        Ok(self.publisher.send(outgoing).await?)
    }

    async fn acknowledged(&self) -> Result<(), CollectError> {
        Ok(self.publisher.acknowledged().await?)
    }
}
