//! Makes and widens the tables of entity types.

use records::table::{COLUMNS, OWN_COLUMNS, Refusal, reconcile};
use records::{EntityType, TypeName};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The advisory lock under which tables are changed.
const LOCK: i64 = 0x7472_6962_7461_626c;

/// Why a table can't hold a type.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column has another type.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The account may not change tables.
    #[error(
        "table inventory_all.{0} must be made or widened, and this account may not: run \
             `schemas apply` as the owner"
    )]
    Denied(String),
    /// PostgreSQL failed.
    #[error("changing table inventory_all.{0}: {1}")]
    Database(String, sqlx::Error),
}

impl TableError {
    /// Whether only a person can mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Denied(_))
    }
}

/// Makes or widens a type's table and its view; gives what was changed.
///
/// # Errors
/// [`TableError`]; nothing is changed then.
pub async fn ensure(
    connection: &mut PgConnection,
    entity: &EntityType,
) -> Result<Vec<String>, TableError> {
    let failed = |error: sqlx::Error| {
        let denied = error.as_database_error().and_then(|e| e.code()).is_some_and(|c| c == "42501");
        let name = entity.name().to_string();
        if denied { TableError::Denied(name) } else { TableError::Database(name, error) }
    };
    let mut transaction = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1), set_config('lock_timeout', '2s', true)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let existing = columns(&mut transaction, entity.name()).await.map_err(failed)?;
    let statements = reconcile(entity, existing.as_deref())?;
    for statement in &statements {
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(statements)
}

/// The attribute columns of a type's table, in their order: name and type; `None` if there is no
/// table.
///
/// # Errors
/// What PostgreSQL said.
pub async fn columns(
    connection: &mut PgConnection,
    entity_type: &TypeName,
) -> Result<Option<Vec<(String, String)>>, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass(format('inventory_all.%I', $1::text)) IS NOT NULL")
            .bind(entity_type.as_str())
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        return Ok(None);
    }
    let columns = sqlx::query_as(COLUMNS)
        .bind(entity_type.as_str())
        .bind(OWN_COLUMNS.as_slice())
        .fetch_all(connection)
        .await?;
    Ok(Some(columns))
}
