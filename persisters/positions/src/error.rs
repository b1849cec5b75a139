//! Why positions can't be told or moved.

/// A failure that has to do with positions.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// PostgreSQL failed.
    #[error("PostgreSQL: {}", schemas::database::explain(.0))]
    Database(sqlx::Error),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] wire::KafkaProblem),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// A command asks for what can't be.
    #[error("{0}")]
    Request(String),
}

/// Not as a source: its own text is in that of the error.
impl From<sqlx::Error> for PositionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl PositionError {
    /// Whether only a person can mend it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Kafka(problem) => problem.is_final(),
            Self::Database(_) | Self::Registry(_) => false,
        }
    }
}
