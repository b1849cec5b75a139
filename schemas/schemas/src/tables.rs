//! Makes and widens the tables and views of entity types.

use records::table::{COLUMNS, Existing, OWN_COLUMNS, Refusal, dangling, detail, reconcile};
use records::{Attribute, EntityType, TypeName};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction};
use std::collections::BTreeMap;

/// The advisory lock under which tables are changed.
const LOCK: i64 = 0x7472_6962_7461_626c;

/// PostgreSQL's code for a right that the account lacks.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// PostgreSQL's code for a lock that was not given in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// PostgreSQL's classes of codes for what can't be done to a table or a view as it is: what depends
/// on it, how it was changed, its limits.
const OBSTACLES: [&str; 4] = ["0A", "2B", "42", "54"];

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
    /// Somebody holds the table.
    #[error("table inventory_all.{0} can't be changed while a long query or transaction is on it")]
    Held(String),
    /// PostgreSQL can't make or change the table or a view as they are.
    #[error("table inventory_all.{0} or its views can't be changed: {1}")]
    Obstructed(String, sqlx::Error),
    /// PostgreSQL failed.
    #[error("changing table inventory_all.{0}: {1}; check that PostgreSQL is up")]
    Database(String, sqlx::Error),
}

impl TableError {
    /// Whether only a person can mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Denied(_) | Self::Obstructed(..))
    }

    /// Whether records of the type can only wait: for a person, or for who holds the table.
    #[must_use]
    pub const fn lets_wait(&self) -> bool {
        self.is_final() || matches!(self, Self::Held(_))
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.statement().to_owned(),
            Self::Denied(_) => "run `schemas apply` as the owner".to_owned(),
            Self::Held(_) => "end the long query on the table".to_owned(),
            Self::Obstructed(name, _) => format!(
                "undo what was changed by hand in inventory_all.{name} or in its views of inventory"
            ),
            Self::Database(..) => "check that PostgreSQL is up".to_owned(),
        }
    }

    fn of(entity: &EntityType) -> impl Fn(sqlx::Error) -> Self + Copy {
        |error| {
            let name = entity.name().to_string();
            let code = error.as_database_error().and_then(|error| error.code());
            match code.as_deref() {
                Some(INSUFFICIENT_PRIVILEGE) => Self::Denied(name),
                Some(LOCK_NOT_AVAILABLE) => Self::Held(name),
                Some(code) if OBSTACLES.iter().any(|class| code.starts_with(class)) => {
                    Self::Obstructed(name, error)
                }
                _ => Self::Database(name, error),
            }
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
    let columns = columns(&mut transaction, entity.name()).await.map_err(failed)?;
    let [shown, detailed] = views(entity.name());
    let shown = view_columns(&mut transaction, &shown).await.map_err(failed)?;
    let detailed = view_columns(&mut transaction, &detailed).await.map_err(failed)?;
    let (columns, shown, detailed) = (columns.as_deref(), &shown[..], &detailed[..]);
    let statements = match reconcile(entity, Existing { columns, shown, detailed }) {
        Ok(statements) => statements,
        Err(refusal) => {
            let readers = readers(&mut transaction, entity.name(), refusal.columns()).await;
            return Err(refusal.read_by(&readers.map_err(failed)?).into());
        }
    };
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
    let [_, view] = views(entity.name());
    let mut transaction = begin(connection).await.map_err(failed)?;
    let Some(attributes) = columns(&mut transaction, entity.name()).await.map_err(failed)? else {
        return Ok(false);
    };
    let attributes: Vec<String> = attributes.into_iter().map(|(name, _)| name).collect();
    let references = all_attributes(&mut transaction, entity, &attributes).await.map_err(failed)?;
    let named = named_types(&mut transaction, &references).await.map_err(failed)?;
    let existing = view_columns(&mut transaction, &view).await.map_err(failed)?;
    let references = (references.as_slice(), named.as_slice());
    let Some(statement) = detail(entity.name(), &attributes, references, &existing) else {
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

/// Lets `metrics.hourly_named` and `metrics.daily_named` show the names of objects of all types
/// that have one; gives whether that was to be changed, and could be.
///
/// # Errors
/// What PostgreSQL said.
pub async fn name_objects(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT tributary.name_objects()").fetch_one(connection).await
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
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(INSUFFICIENT_PRIVILEGE)
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// The attributes of this version of a type, and those that the table still has of older ones.
async fn all_attributes(
    connection: &mut PgConnection,
    entity: &EntityType,
    columns: &[String],
) -> Result<Vec<Attribute>, sqlx::Error> {
    let older: Vec<String> =
        sqlx::query_scalar("SELECT json FROM tributary.schema WHERE subject = $1 ORDER BY id DESC")
            .bind(entity.subject())
            .fetch_all(connection)
            .await?;
    let older: Vec<EntityType> =
        older.iter().filter_map(|json| EntityType::parse(json).ok()).collect();
    let mut attributes: Vec<Attribute> = entity.attributes().to_vec();
    for attribute in older.iter().flat_map(EntityType::attributes) {
        if columns.iter().any(|column| column == attribute.name.as_str())
            && attributes.iter().all(|known| known.name != attribute.name)
        {
            attributes.push(attribute.clone());
        }
    }
    Ok(attributes)
}

/// The views of others that show one of these columns of a type's table or of our views.
async fn readers(
    connection: &mut PgConnection,
    entity_type: &TypeName,
    columns: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT DISTINCT format('%I.%I', s.nspname, v.relname) \
         FROM pg_catalog.pg_namespace AS o JOIN pg_catalog.pg_class AS c ON c.relnamespace = o.oid \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid \
         JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_class'::regclass \
         AND d.refobjid = c.oid AND d.refobjsubid = a.attnum \
         JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
         JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class \
         JOIN pg_catalog.pg_namespace AS s ON s.oid = v.relnamespace \
         WHERE o.nspname IN ('inventory', 'inventory_all') AND c.relname = ANY ($1) \
         AND a.attname = ANY ($2) AND s.nspname <> 'inventory' ORDER BY 1",
    )
    .bind(views(entity_type).as_slice())
    .bind(columns)
    .fetch_all(connection)
    .await
}

/// The names of a type's views; the first is also that of its table.
fn views(entity_type: &TypeName) -> [String; 2] {
    [entity_type.to_string(), format!("{entity_type}_detail")]
}

/// The referenced types whose views have a name.
async fn named_types(
    connection: &mut PgConnection,
    attributes: &[Attribute],
) -> Result<Vec<TypeName>, sqlx::Error> {
    let mut named = Vec::new();
    for target in attributes.iter().flat_map(|attribute| &attribute.references) {
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
