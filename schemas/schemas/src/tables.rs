//! Makes and widens the tables and views of entity types.

use records::table::{COLUMNS, OWN_COLUMNS, Refusal, dangling, detail, reconcile};
use records::{EntityType, TypeName};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction};
use std::collections::BTreeMap;

/// The advisory lock under which tables are changed.
const LOCK: i64 = 0x7472_6962_7461_626c;

/// PostgreSQL's code for a right that the account lacks.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// PostgreSQL's code for a lock that was not given in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

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
    #[error(
        "changing table inventory_all.{0}: {1}; if it is a lock timeout, end the long query \
             on it and try again"
    )]
    Database(String, sqlx::Error),
}

impl TableError {
    /// Whether only a person can mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Denied(_))
    }

    /// Whether records of the type can only wait: for a person, or for who holds the table.
    #[must_use]
    pub fn lets_wait(&self) -> bool {
        let Self::Database(_, error) = self else { return self.is_final() };
        has_code(error, LOCK_NOT_AVAILABLE)
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.statement().to_owned(),
            Self::Denied(_) => "run `schemas apply` as the owner".to_owned(),
            Self::Database(..) => "end the long query on the table".to_owned(),
        }
    }

    fn of(entity: &EntityType) -> impl Fn(sqlx::Error) -> Self + Copy {
        |error| {
            let name = entity.name().to_string();
            if is_denied(&error) { Self::Denied(name) } else { Self::Database(name, error) }
        }
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
    let failed = TableError::of(entity);
    let mut transaction = begin(connection).await.map_err(failed)?;
    let existing = columns(&mut transaction, entity.name()).await.map_err(failed)?;
    let shown = view_columns(&mut transaction, entity.name().as_str()).await.map_err(failed)?;
    let statements = reconcile(entity, existing.as_deref(), !shown.is_empty())?;
    for statement in &statements {
        execute(&mut transaction, statement).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(statements)
}

/// Makes or widens the view `TYPE_detail`, after the tables of the types that it refers to; gives
/// whether it is another one now.
///
/// # Errors
/// [`TableError`]; nothing is changed then.
pub async fn ensure_detail(
    connection: &mut PgConnection,
    entity: &EntityType,
) -> Result<bool, TableError> {
    let failed = TableError::of(entity);
    let view = format!("{}_detail", entity.name());
    let mut transaction = begin(connection).await.map_err(failed)?;
    let Some(attributes) = columns(&mut transaction, entity.name()).await.map_err(failed)? else {
        return Ok(false);
    };
    let attributes: Vec<String> = attributes.into_iter().map(|(name, _)| name).collect();
    let named = named_types(&mut transaction, entity).await.map_err(failed)?;
    let existing = view_columns(&mut transaction, &view).await.map_err(failed)?;
    let Some(statement) = detail(entity, &attributes, &named, &existing) else {
        return Ok(false);
    };
    let before = definition(&mut transaction, &view).await.map_err(failed)?;
    execute(&mut transaction, &statement).await.map_err(failed)?;
    if before == definition(&mut transaction, &view).await.map_err(failed)? {
        return Ok(false);
    }
    transaction.commit().await.map_err(failed)?;
    Ok(true)
}

/// Makes the view `dangling_references` of these types, and of those that a persister has met;
/// gives whether it is another one now.
///
/// # Errors
/// What PostgreSQL said; nothing is changed then.
pub async fn ensure_dangling(
    connection: &mut PgConnection,
    types: &[&EntityType],
) -> Result<bool, sqlx::Error> {
    let mut transaction = begin(connection).await?;
    let mut known: BTreeMap<TypeName, EntityType> = met(&mut transaction).await?;
    known.extend(types.iter().map(|entity| (entity.name().clone(), (*entity).clone())));
    let mut with_columns = Vec::new();
    for entity in known.values() {
        if let Some(columns) = columns(&mut transaction, entity.name()).await? {
            with_columns.push((entity, columns.into_iter().map(|(name, _)| name).collect()));
        }
    }
    let targets = known.values().flat_map(EntityType::attributes).flat_map(|a| &a.references);
    let mut tables = Vec::new();
    for target in targets {
        if !tables.contains(target) && columns(&mut transaction, target).await?.is_some() {
            tables.push(target.clone());
        }
    }
    let before = definition(&mut transaction, "dangling_references").await?;
    execute(&mut transaction, &dangling(&with_columns, &tables)).await?;
    if before == definition(&mut transaction, "dangling_references").await? {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// The types whose records were met, by their newest schemas.
async fn met(connection: &mut PgConnection) -> Result<BTreeMap<TypeName, EntityType>, sqlx::Error> {
    let schemas: Vec<String> = sqlx::query_scalar("SELECT json FROM tributary.schema ORDER BY id")
        .fetch_all(connection)
        .await?;
    let entities = schemas.iter().filter_map(|json| EntityType::parse(json).ok());
    Ok(entities.map(|entity| (entity.name().clone(), entity)).collect())
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
    // Asked of the catalogue's rows: `to_regclass` alone may answer from a cache that does not know
    // yet what another session has just made.
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables \
         WHERE schemaname = 'inventory_all' AND tablename = $1)",
    )
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

/// Begins a transaction in which nobody else changes tables; what readers hold is waited for
/// shortly only, because new readers would queue behind.
pub(crate) async fn begin(connection: &mut PgConnection) -> Result<PgTransaction<'_>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1), set_config('lock_timeout', '2s', true)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Whether the account lacks a right.
pub(crate) fn is_denied(error: &sqlx::Error) -> bool {
    has_code(error, INSUFFICIENT_PRIVILEGE)
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|found| found == code)
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// The referenced types whose views have a name.
async fn named_types(
    connection: &mut PgConnection,
    entity: &EntityType,
) -> Result<Vec<TypeName>, sqlx::Error> {
    let mut named = Vec::new();
    for target in entity.attributes().iter().flat_map(|attribute| &attribute.references) {
        if !named.contains(target)
            && view_columns(connection, target.as_str()).await?.iter().any(|name| name == "name")
        {
            named.push(target.clone());
        }
    }
    Ok(named)
}

/// The columns of a view in their order; none if there is no view.
async fn view_columns(
    connection: &mut PgConnection,
    view: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT attname::text FROM pg_catalog.pg_attribute \
         WHERE attrelid = to_regclass(format('inventory.%I', $1::text)) \
         AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )
    .bind(view)
    .fetch_all(connection)
    .await
}

async fn definition(
    connection: &mut PgConnection,
    view: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_get_viewdef(to_regclass(format('inventory.%I', $1::text)))")
        .bind(view)
        .fetch_one(connection)
        .await
}
