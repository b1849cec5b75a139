//! The group roles: owner, persister, reader.

use crate::report::Outcome;
use crate::tables::{begin, is_denied};
use sqlx::PgConnection;

const NAMES: [&str; 3] = ["tributary_owner", "tributary_persister", "tributary_reader"];

/// Makes the roles and grants them what they need; skips both where the account may not.
///
/// # Errors
/// What PostgreSQL said.
pub async fn ensure(connection: &mut PgConnection) -> Result<Outcome, sqlx::Error> {
    let before = existing(connection).await?;
    match make_and_grant(connection).await {
        Ok(()) if before.len() == NAMES.len() => Ok(Outcome::Unchanged),
        Ok(()) => {
            let made = NAMES.into_iter().filter(|name| before.iter().all(|known| known != name));
            Ok(Outcome::Changed(format!("made {}", made.collect::<Vec<_>>().join(", "))))
        }
        Err(error) if is_denied(&error) => Ok(Outcome::Skipped(format!(
            "this account may not make roles or grant rights ({error}): run `schemas apply` as one \
             that has CREATEROLE and owns the tables, or go on without roles"
        ))),
        Err(error) => Err(error),
    }
}

async fn make_and_grant(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = begin(connection).await?;
    sqlx::raw_sql(include_str!("roles.sql")).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn existing(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)")
        .bind(NAMES.as_slice())
        .fetch_all(connection)
        .await
}
