//! The way to PostgreSQL.

use chassis::{Fields, Secret};
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::str::FromStr;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    url: Secret,
    password: Option<Secret>,
}

impl DatabaseSettings {
    /// Reads the section `database`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("database");
        let url = fields.required("url");
        let password = fields.secret_file("password_file");
        Some(Self { url: url?, password: password? })
    }

    /// From a URL alone.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        Self { url: Secret::new(url), password: None }
    }
}

/// One connection.
///
/// # Errors
/// What PostgreSQL or the way to it said; the URL is not in it.
pub async fn connect_one(settings: &DatabaseSettings) -> Result<PgConnection, sqlx::Error> {
    let mut options = PgConnectOptions::from_str(settings.url.expose())?;
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    // A slow statement would be logged whole, and a batch's fills a page.
    let options = options.application_name("tributary").disable_statement_logging();
    PgConnection::connect_with(&options).await
}

/// Brings our own tables to this version; gives the migrations that were run for it.
///
/// # Errors
/// What could not be migrated.
pub async fn migrate(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let mut migrator = sqlx::migrate!("../postgres");
    // With its schema: an account named tributary would look into the schema tributary first.
    migrator.dangerous_set_table_name("public._sqlx_migrations");
    // The lock counts: `run` takes and leaves it once more.
    connection.lock().await?;
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let applied = connection.list_applied_migrations(&migrator.table_name).await?;
    // `run` can't be awaited in a task that must be Send (its `Acquire` is not general enough).
    migrator.run_direct(None, connection, false).await?;
    connection.unlock().await?;
    let is_new = |version: i64| applied.iter().all(|migration| migration.version != version);
    let new = migrator.iter().filter(|migration| is_new(migration.version));
    Ok(new.map(|m| format!("{:04} {}", m.version, m.description)).collect())
}

/// What PostgreSQL has against something, or where to look if it can't be reached.
#[must_use]
pub fn explain(error: &sqlx::Error) -> String {
    let Some(answer) = error.as_database_error() else {
        return format!("{error}; check that it is up and that DATABASE_URL is right");
    };
    let code = answer.code().unwrap_or_default();
    // Classes of SQLSTATE: no such account or password, no such database.
    let is_elsewhere = code.starts_with("28") || code.starts_with("3D");
    let hint = if is_elsewhere { "; check DATABASE_URL and the password" } else { "" };
    // Alone: sqlx adds a line of PostgreSQL's own source, which looks like one of ours.
    format!("{} (SQLSTATE {code}){hint}", answer.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_do_not_show_the_password_of_the_url() {
        let urls = [
            "postgres://user:hush@127.0.0.1:1/database",
            "postgres://user:hush@127.0.0.1:port/database",
            "postgres://user:hush@127.0.0.1:1/database?sslmode=unheard-of",
            "postgres://127.0.0.1:1/database?user=user&password=hush",
            "user:hush@127.0.0.1",
            "//user:hush@127.0.0.1",
        ];
        for url in urls {
            let settings = DatabaseSettings::of_url(url);
            assert!(!format!("{settings:?}").contains("hush"));
            let error = connect_one(&settings).await.unwrap_err();
            let told = format!("{} {error:?}", explain(&error));
            assert!(!told.contains("hush"), "{told}");
        }
    }
}
