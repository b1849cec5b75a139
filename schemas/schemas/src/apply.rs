//! `schemas apply`: each part on its own, so that one failure hides no other.

use crate::report::{Outcome, Report};
use crate::settings::Settings;
use crate::source::{SchemaFile, SourceError};
use crate::{database, roles, subjects, tables, topics};
use records::EntityType;
use sqlx::PgConnection;
use sqlx::migrate::MigrateError;

/// Why PostgreSQL can't be prepared at all.
#[derive(Debug, thiserror::Error)]
enum DatabaseError {
    #[error("can't connect: {}", database::explain(.0))]
    Connect(sqlx::Error),
    #[error("{0}; check that this account owns the database, or is a tributary_owner")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("{0}; check that it is up, then run `schemas apply` again")]
    Roles(sqlx::Error),
}

impl DatabaseError {
    /// Whether only a person can mend it.
    fn is_final(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Roles(error) => is_final(error),
            Self::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => is_final(error),
            Self::Migrate(_) => true,
        }
    }
}

/// Wrong settings, credentials, names or rights; not a server that is away.
fn is_final(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Configuration(_) => true,
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["28", "3D", "42"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

/// Applies the schemas everywhere, `wrong` being what could not be read of them. Applying them
/// again changes nothing.
pub async fn apply(settings: &Settings, (files, wrong): (&[SchemaFile], &[SourceError])) -> Report {
    let mut report = Report::default();
    for error in wrong {
        report.add("schema", "--dir", Outcome::failed(error, true));
    }
    topics::apply(settings, &mut report).await;
    let accepted = subjects::apply(settings, files, &mut report).await;
    let types: Vec<&EntityType> = accepted.iter().filter_map(|file| file.entity.as_ref()).collect();
    if let Err(error) = prepare(settings, &types, &mut report).await {
        report.add("database", "tributary", Outcome::failed(&error, error.is_final()));
    }
    report
}

async fn prepare(
    settings: &Settings,
    types: &[&EntityType],
    report: &mut Report,
) -> Result<(), DatabaseError> {
    let connection = database::connect_one(&settings.database).await;
    let mut connection = connection.map_err(DatabaseError::Connect)?;
    let migrations = database::migrate(&mut connection).await?;
    let change = (!migrations.is_empty()).then(|| format!("migrated: {}", migrations.join(", ")));
    report.changed("database", "tributary", change);
    for entity in types {
        table(&mut connection, entity, report).await;
    }
    for entity in types {
        detail_view(&mut connection, entity, report).await;
    }
    dangling_view(&mut connection, types, report).await;
    named_views(&mut connection, report).await;
    let outcome = roles::ensure(&mut connection).await.map_err(DatabaseError::Roles)?;
    report.add("roles", "tributary", outcome);
    Ok(())
}

async fn table(connection: &mut PgConnection, entity: &EntityType, report: &mut Report) {
    let name = entity.name().as_str();
    match tables::ensure(connection, entity).await {
        Ok(statements) => {
            let first_lines = statements.iter().filter_map(|statement| statement.lines().next());
            let short =
                |line: &'_ str| line.trim_end_matches(" (").trim_end_matches(" AS").to_owned();
            let changes: Vec<String> = first_lines.filter(|l| !is_comment(l)).map(short).collect();
            report.changed("table", name, (!statements.is_empty()).then(|| changes.join("; ")));
        }
        Err(error) => report.add("table", name, Outcome::failed(&error, error.is_final())),
    }
}

async fn detail_view(connection: &mut PgConnection, entity: &EntityType, report: &mut Report) {
    let name = format!("{}_detail", entity.name());
    match tables::ensure_detail(connection, entity).await {
        Ok(changed) => report.changed("view", &name, changed.then(|| "made anew".to_owned())),
        Err(error) => report.add("view", &name, Outcome::failed(&error, error.is_final())),
    }
}

async fn dangling_view(connection: &mut PgConnection, types: &[&EntityType], report: &mut Report) {
    let name = "dangling_references";
    match tables::ensure_dangling(connection, types).await {
        Ok(changed) => report.changed("view", name, changed.then(|| "made anew".to_owned())),
        Err(error) => report.add("view", name, Outcome::failed(&error, is_final(&error))),
    }
}

async fn named_views(connection: &mut PgConnection, report: &mut Report) {
    let name = "metrics.object_name";
    match tables::name_objects(connection).await {
        Ok(changed) => report.changed("view", name, changed.then(|| "made anew".to_owned())),
        Err(error) => report.add("view", name, Outcome::failed(&error, is_final(&error))),
    }
}

fn is_comment(statement: &str) -> bool {
    statement.starts_with("COMMENT")
}
