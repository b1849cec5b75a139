//! What the client says by the way, again and again: not worth more than a debug line.

use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

/// The context of a client whose every failure is told by what was asked of it.
#[derive(Clone)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Notes an error that is not an answer, such as that no broker can be reached. The client's own
/// log says it once in a while, with the address.
pub(crate) fn note(error: &KafkaError, reason: &str) {
    tracing::debug!("Kafka: {error}: {reason}");
}
