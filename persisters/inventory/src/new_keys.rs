//! Keys that are expected to be new, because those of the batch before were: they are copied into
//! the table without a look at it first.

use crate::error::InventoryError;
use plan::{Batch, Statements, Write, Writes};
use sqlx::PgConnection;
use std::sync::atomic::{AtomicBool, Ordering};

/// Fewer rows are not worth a transaction that may have to begin again.
const ROWS_MIN: usize = 16;

/// PostgreSQL's code for a key that exists.
const UNIQUE_VIOLATION: &str = "23505";

/// What is expected of a table's next batch.
#[derive(Debug, Default)]
pub struct NewKeys(AtomicBool);

impl NewKeys {
    /// Whether so many keys are expected to be new.
    #[must_use]
    pub fn are_expected(&self, keys: usize) -> bool {
        keys >= ROWS_MIN && self.0.load(Ordering::Relaxed)
    }

    /// What a batch has met.
    pub fn learn(&self, all_were_new: bool) {
        self.0.store(all_were_new, Ordering::Relaxed);
    }
}

/// Copies rows into their table; `false`, and nothing is changed, if they have no such form. It has
/// no savepoint: rows would not belong to the transaction itself, which their digests need.
///
/// # Errors
/// [`InventoryError::KeysExist`] if one of them exists, [`InventoryError::Database`].
pub async fn copy(
    connection: &mut PgConnection,
    statements: &Statements,
    (batch, writes): (&Batch, &[Write]),
) -> Result<bool, InventoryError> {
    let stream = || Writes::new(batch, writes).copy();
    let Some((statement, stream)) = statements.copy.as_ref().zip(stream()) else {
        return Ok(false);
    };
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(stream).await?;
    match copy.finish().await {
        Ok(_rows) => Ok(true),
        Err(error) if is_unique_violation(&error) => {
            Err(InventoryError::KeysExist(batch.layout().entity_type.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == UNIQUE_VIOLATION)
}
