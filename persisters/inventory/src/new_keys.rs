//! Keys that are expected to be new, because those of the batch before were: they are copied into
//! the table without a look at it first.

use crate::error::InventoryError;
use plan::{Batch, Statements, Write, Writes};
use sqlx::{Connection, PgConnection};
use std::sync::atomic::{AtomicBool, Ordering};

/// Fewer rows are not worth the savepoint.
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

/// Copies rows into their table; `false`, and nothing is changed, if one of them exists, or if they
/// have no such form.
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn copy(
    connection: &mut PgConnection,
    statements: &Statements,
    (batch, writes): (&Batch, &[Write]),
) -> Result<bool, InventoryError> {
    let stream = || Writes::new(batch, writes).copy();
    let Some((statement, stream)) = statements.copy.as_ref().zip(stream()) else {
        return Ok(false);
    };
    let mut savepoint = connection.begin().await?;
    let mut copy = savepoint.copy_in_raw(statement).await?;
    copy.send(stream).await?;
    match copy.finish().await {
        Ok(_rows) => savepoint.commit().await?,
        Err(error) if is_unique_violation(&error) => {
            savepoint.rollback().await?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == UNIQUE_VIOLATION)
}
