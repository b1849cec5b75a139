//! What can go wrong with Kafka, and whether time can heal it.

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

/// How long a client is asked for its news. A poll without time ends at the first line for the log.
const NEWS: Duration = Duration::from_millis(200);

/// A failure of Kafka or of the way to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaProblem {
    /// The settings can't make a client.
    #[error("Kafka settings are not valid: {0}; see the section kafka of the settings")]
    Settings(KafkaError),
    /// An operation failed.
    #[error("{action} at Kafka ({brokers}): {source}; {}", remedy(source))]
    Operation {
        /// What was tried, such as `reading tributary.control`.
        action: String,
        /// The bootstrap servers.
        brokers: String,
        /// What the client said.
        source: Box<KafkaError>,
    },
    /// The brokers know another password, or no such account.
    #[error(
        "Kafka ({brokers}) refuses the account: {source}; check sasl_mechanism, sasl_username and \
             sasl_password_file in the section kafka of the settings"
    )]
    Refused {
        /// The bootstrap servers.
        brokers: String,
        /// What the client said.
        source: Box<KafkaError>,
    },
    /// Another client has joined the group under this one's lasting name.
    #[error(
        "another member has joined the group under the name of this one, which ends: stop one of \
             them, or give each a name of its own (for a persister: --instance)"
    )]
    NameTaken,
    /// A record was not acknowledged within its time.
    #[error("a record for {topic} was not acknowledged: {source}; it may not have been written")]
    NotAcknowledged {
        /// The topic.
        topic: String,
        /// What the client said.
        source: Box<KafkaError>,
    },
    /// Reading can't go on where it was to go on.
    #[error(
        "the position in {topic} is not on Kafka: unread records were deleted by retention, or \
             the topic was made anew; set the position to what is there (for inventory: \
             `persister positions rewind`) and refresh all sources"
    )]
    PositionLost {
        /// The topic.
        topic: String,
    },
    /// Something is on Kafka that should be otherwise.
    #[error("{0}")]
    Mismatch(String),
    /// The system gives no thread.
    #[error("can't start a thread for Kafka's client: {0}; check the limits of processes")]
    Thread(String),
    /// The thread that talks to Kafka has ended.
    #[error("the Kafka client has stopped")]
    Stopped,
}

impl KafkaProblem {
    /// The problem of an `action`, such as `reading tributary.control`.
    pub(crate) fn of(action: String, brokers: &str, source: KafkaError) -> Self {
        if source.rdkafka_error_code() == Some(RDKafkaErrorCode::FencedInstanceId) {
            return Self::NameTaken;
        }
        let (brokers, is_refusal) = (brokers.to_owned(), is_refusal(&source));
        let source = Box::new(source);
        if is_refusal {
            Self::Refused { brokers, source }
        } else {
            Self::Operation { action, brokers, source }
        }
    }

    /// Whether only a person can mend it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Settings(_)
            | Self::Refused { .. }
            | Self::NameTaken
            | Self::PositionLost { .. }
            | Self::Mismatch(_) => true,
            Self::Operation { source, .. } | Self::NotAcknowledged { source, .. } => matches!(
                source.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::TopicAuthorizationFailed
                        | RDKafkaErrorCode::GroupAuthorizationFailed
                        | RDKafkaErrorCode::Fenced
                )
            ),
            Self::Thread(_) | Self::Stopped => false,
        }
    }

    /// Whether a record has more bytes than its topic takes.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        let Self::NotAcknowledged { source, .. } = self else { return false };
        source.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
    }
}

/// What a person can do about a failure.
fn remedy(source: &KafkaError) -> &'static str {
    match source.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition,
        ) => "make the topics with `schemas apply`, or check TRIBUTARY_TOPIC_PREFIX",
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => "let the account do it by an ACL (`kafka-acls.sh`)",
        _ => "check that the brokers are up and that KAFKA_BOOTSTRAP_SERVERS is right",
    }
}

/// A client that reaches no broker has news without an end.
const NEWS_MAX: usize = 10;

/// Whether a broker does not know the account, or knows another password of it.
pub(crate) fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed)
    )
}

/// A question that a refused client asks fails as if no broker were there. The client knows better,
/// and says so to who polls it.
pub(crate) fn cause<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    failure: KafkaError,
) -> KafkaError {
    let known = std::iter::from_fn(|| consumer.poll(NEWS)).take(NEWS_MAX);
    known.filter_map(Result::err).find(is_refusal).unwrap_or(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: RDKafkaErrorCode) -> String {
        let source = KafkaError::MessageConsumption(code);
        KafkaProblem::of("reading t".to_owned(), "k:9092", source).to_string()
    }

    #[test]
    fn the_remedy_is_that_of_the_failure() {
        let missing = told(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert!(missing.starts_with("reading t at Kafka (k:9092): "), "{missing}");
        assert!(missing.contains("`schemas apply`"), "{missing}");
        assert!(told(RDKafkaErrorCode::TopicAuthorizationFailed).contains("ACL"));
        let away = told(RDKafkaErrorCode::AllBrokersDown);
        assert!(away.contains("KAFKA_BOOTSTRAP_SERVERS"), "{away}");
        assert!(told(RDKafkaErrorCode::SaslAuthenticationFailed).contains("sasl_password_file"));
    }
}
