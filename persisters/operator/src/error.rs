//! Why a command can't do what it was asked for.

use chassis::ExitKind;

/// A failure of a command, or what it has found.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// PostgreSQL failed.
    #[error("PostgreSQL: {}", schemas::database::explain(.0))]
    Database(sqlx::Error),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] wire::KafkaProblem),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// Positions can't be told.
    #[error(transparent)]
    Positions(#[from] positions::PositionError),
    /// The settings are not complete or not right.
    #[error(transparent)]
    Settings(#[from] chassis::Mistakes),
    /// A command asks for what can't be.
    #[error("{0}")]
    Request(String),
    /// Rows are not what the source has.
    #[error("{0} rows differ from the listing; a refresh of the source makes them good")]
    Drift(u64),
    /// What a later try may find otherwise.
    #[error("{0}")]
    NotNow(String),
}

/// Not as a source: its own text is in that of the error.
impl From<sqlx::Error> for OperatorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl ExitKind for OperatorError {
    fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) | Self::Request(_) => true,
            Self::Kafka(problem) => problem.is_final(),
            Self::Registry(error) => error.is_final(),
            Self::Positions(error) => error.is_final(),
            Self::Database(_) | Self::Drift(_) | Self::NotNow(_) => false,
        }
    }
}
