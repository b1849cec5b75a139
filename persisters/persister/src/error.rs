//! What can stop a batch, and what to do about it.

/// Classes of SQLSTATE by which PostgreSQL refuses values: data exceptions, integrity constraints,
/// check options of views, and limits such as that of an index row.
const REFUSALS: [&str; 4] = ["22", "23", "44", "54"];

/// What a check constraint refuses and, without the name of one, what has no partition.
const CHECK_VIOLATION: &str = "23514";

/// What a trigger raises.
const RAISE_EXCEPTION: &str = "P0001";

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// PostgreSQL failed; the batch is tried again with a new connection.
    #[error("PostgreSQL: {}", schemas::database::explain(.0))]
    Database(sqlx::Error),
    /// Another member of the group owns a partition now, or the database has gone back in time.
    #[error("partition ownership has changed under this member; reading the positions again")]
    Fenced,
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] wire::KafkaProblem),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// The types of records can't be told.
    #[error(transparent)]
    Types(catalog::CatalogError),
    /// Rows were not what the batch expected; it is tried again.
    #[error(transparent)]
    Rows(inventory::InventoryError),
    /// The admin port failed.
    #[error(transparent)]
    Admin(chassis::AdminError),
    /// A lane's task has died.
    #[error("a lane has died: {0}; this is a mistake of the program")]
    Lane(tokio::task::JoinError),
    /// Positions can't be told or moved.
    #[error(transparent)]
    Positions(#[from] positions::PositionError),
    /// The settings are not complete or not right.
    #[error(transparent)]
    Settings(#[from] chassis::Mistakes),
}

/// Not as a source: its own text is in that of the error.
impl From<sqlx::Error> for PersistError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<inventory::InventoryError> for PersistError {
    fn from(error: inventory::InventoryError) -> Self {
        match error {
            inventory::InventoryError::Database(error) => Self::Database(error),
            other => Self::Rows(other),
        }
    }
}

impl From<catalog::CatalogError> for PersistError {
    fn from(error: catalog::CatalogError) -> Self {
        match error {
            catalog::CatalogError::Database(error) => Self::Database(error),
            other => Self::Types(other),
        }
    }
}

impl PersistError {
    /// What PostgreSQL has against a value, if that is what failed: other records can be applied.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        let code = error.code()?;
        if code == CHECK_VIOLATION && error.constraint().is_none() {
            // Somebody has dropped the partition: the next try makes it anew.
            return None;
        }
        let is_refusal =
            REFUSALS.iter().any(|class| code.starts_with(class)) || code == RAISE_EXCEPTION;
        is_refusal.then(|| format!("{} (SQLSTATE {code})", error.message()))
    }
}

impl chassis::ExitKind for PersistError {
    fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Types(error) => error.is_final(),
            Self::Kafka(problem) => problem.is_final(),
            Self::Positions(error) => error.is_final(),
            _ => false,
        }
    }
}
