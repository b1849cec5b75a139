//! What the client says by the way, again and again: not worth more than a debug line.

use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often it is told that no broker answers.
const OUTAGE_TOLD_EVERY: Duration = Duration::from_secs(30);

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

/// That no broker answers, which a consumer says many times a second.
#[derive(Default)]
pub(crate) struct Outage {
    told: Cell<Option<Instant>>,
}

impl Outage {
    /// Whether the error is one that was told a short time ago; if not, it is from now on.
    pub(crate) fn is_old_news(&self, error: &KafkaError) -> bool {
        let is_outage = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
        );
        let told = self.told.get();
        if !is_outage || told.is_some_and(|told| told.elapsed() < OUTAGE_TOLD_EVERY) {
            return is_outage;
        }
        self.told.set(Some(Instant::now()));
        false
    }
}
