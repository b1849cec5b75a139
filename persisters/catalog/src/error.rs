//! Why a schema id's meaning can't be told.

/// A failure that has to do with types and their tables.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// PostgreSQL failed.
    #[error("PostgreSQL: {}", schemas::database::explain(.0))]
    Database(sqlx::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// A table can't be made ready.
    #[error(transparent)]
    Table(#[from] schemas::tables::TableError),
    /// Somebody has changed a table by hand.
    #[error(
        "the columns of table inventory_all.{0} are others than before; reading them again and \
             trying the batch again"
    )]
    TableChanged(String),
    /// A stored schema can't be read.
    #[error("schema {0} was read before and is no entity type any more: {1}")]
    Schema(i32, String),
    /// The table's registers can't be read.
    #[error(transparent)]
    Rows(#[from] inventory::InventoryError),
    /// The registry gives another schema for an id than before.
    #[error(
        "the registry has another schema under id {0} than before: it was re-installed or \
             SCHEMA_REGISTRY_URL points to another one; restore it, or use a new topic prefix"
    )]
    OtherRegistry(i32),
}

/// Not as a source: its own text is in that of the error.
impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl CatalogError {
    /// Whether only a person can mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::OtherRegistry(_))
    }
}
