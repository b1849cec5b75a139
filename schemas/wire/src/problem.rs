//! What can go wrong with Kafka, and whether time can heal it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A failure of Kafka or of the way to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaProblem {
    /// The settings can't make a client.
    #[error("Kafka settings are not valid: {0}; see the section kafka of the settings")]
    Settings(KafkaError),
    /// An operation failed.
    #[error(
        "{action} at Kafka ({brokers}): {source}; check that the brokers are up, that \
             KAFKA_BOOTSTRAP_SERVERS is right and that the account may do it"
    )]
    Operation {
        /// What was tried, such as `reading tributary.control`.
        action: String,
        /// The bootstrap servers.
        brokers: String,
        /// What the client said.
        source: Box<KafkaError>,
    },
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
    /// Whether only a person can mend it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) | Self::PositionLost { .. } | Self::Mismatch(_) => true,
            Self::Operation { source, .. } | Self::NotAcknowledged { source, .. } => matches!(
                source.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::TopicAuthorizationFailed
                        | RDKafkaErrorCode::GroupAuthorizationFailed
                        | RDKafkaErrorCode::Authentication
                        | RDKafkaErrorCode::SaslAuthenticationFailed
                        | RDKafkaErrorCode::Fenced
                        | RDKafkaErrorCode::FencedInstanceId
                )
            ),
            Self::Thread(_) | Self::Stopped => false,
        }
    }
}
