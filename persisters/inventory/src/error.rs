//! Why rows could not be written; the transaction must then be rolled back.

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// PostgreSQL failed, or refused a value.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// Rows kept changing under the batch.
    #[error("rows of {0} changed {1} times while they were written; trying the batch again")]
    Contended(String, u32),
    /// Keys were expected to be new, and are not any more.
    #[error(
        "table inventory_all.{0} has keys that were expected to be new; trying the batch again"
    )]
    KeysExist(String),
    /// A row has attributes that this member does not know yet.
    #[error(
        "another member has widened table inventory_all.{0}; reading its columns again and trying \
             the batch again"
    )]
    Widened(String),
}
