//! Types whose tables are not ready wait alone: their records are skipped, and read again later.
//!
//! What is skipped is remembered in the transaction that skips it: the type in `tributary.waiting`,
//! the partition's first skipped offset in `tributary.position`. When a type is ready, whoever
//! finds it moves all positions back to what was skipped; their owners notice that as they notice
//! any moved position.

use crate::error::CatalogError;
use records::table::{Existing, Refusal, reconcile};
use records::{EntityType, TypeName};
use schemas::tables::{TableError, columns, ensure};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::SchemaId;

/// What becomes of the records of one version of a type.
#[derive(Debug)]
pub enum Readiness {
    /// Its table can hold them, after these changes.
    Ready(Vec<String>),
    /// They wait for its table.
    Waits(TableError),
    /// Its table has left them behind: it holds a newer version, to which its columns have the
    /// right types.
    LeftBehind(Refusal),
    /// They would wait, but a person has given this version up.
    GivenUp(TableError),
}

impl Readiness {
    /// Makes the table of a version of a type ready.
    ///
    /// # Errors
    /// What a later try may heal.
    pub async fn reach(
        connection: &mut PgConnection,
        id: SchemaId,
        entity: &EntityType,
    ) -> Result<Self, CatalogError> {
        match ensure(connection, entity).await {
            Ok(changes) => Ok(Self::Ready(changes)),
            Err(TableError::Refused(refusal))
                if holds_newer(connection, (id, entity), &refusal).await? =>
            {
                Ok(Self::LeftBehind(refusal))
            }
            Err(error) if error.lets_wait() && is_given_up(connection, id).await? => {
                Ok(Self::GivenUp(error))
            }
            Err(error) if error.lets_wait() => Ok(Self::Waits(error)),
            Err(error) => Err(error.into()),
        }
    }
}

async fn is_given_up(connection: &mut PgConnection, id: SchemaId) -> Result<bool, CatalogError> {
    let given_up = "SELECT EXISTS (SELECT FROM tributary.schema WHERE id = $1 AND given_up)";
    Ok(sqlx::query_scalar(given_up).bind(id.0).fetch_one(connection).await?)
}

/// Whether the columns are what a newer version of the type wants of them.
async fn holds_newer(
    connection: &mut PgConnection,
    (id, entity): (SchemaId, &EntityType),
    refusal: &Refusal,
) -> Result<bool, CatalogError> {
    let columns = columns(connection, entity.name()).await?;
    let existing = Existing { columns: columns.as_deref(), ..Existing::default() };
    let newer: Vec<String> =
        sqlx::query_scalar("SELECT json FROM tributary.schema WHERE subject = $1 AND id > $2")
            .bind(entity.subject())
            .bind(id.0)
            .fetch_all(connection)
            .await?;
    let fits = |newer: &EntityType| {
        let has = |name: &String| newer.attributes().iter().any(|a| a.name.as_str() == name);
        refusal.columns().iter().all(has) && reconcile(newer, existing).is_ok()
    };
    Ok(newer.iter().filter_map(|json| EntityType::parse(json).ok()).any(|newer| fits(&newer)))
}

/// A type that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The type.
    pub entity_type: TypeName,
    schema: SchemaId,
    reason: String,
    hint: String,
}

impl Waiting {
    /// A type that waits because of an error that [lets it wait](TableError::lets_wait).
    #[must_use]
    pub fn new(entity_type: &TypeName, schema: SchemaId, error: &TableError) -> Self {
        let (reason, hint) = (error.to_string(), error.hint());
        tracing::warn!(%entity_type, hint, "records of a type wait for its table: {reason}");
        Self { entity_type: entity_type.clone(), schema, reason, hint }
    }
}

/// Types of which records are skipped by a transaction, each once.
pub type Skipped = BTreeMap<TypeName, Arc<Waiting>>;

/// Remembers that these types wait, until the end of the transaction at least: a type that was
/// ready meanwhile is not taken off the list before the skipped offsets can be seen.
///
/// # Errors
/// [`CatalogError::Database`].
pub async fn park(connection: &mut PgConnection, skipped: &Skipped) -> Result<(), CatalogError> {
    let texts = |text: fn(&Waiting) -> &String| -> Vec<&str> {
        skipped.values().map(|waiting| text(waiting).as_str()).collect()
    };
    let types: Vec<&str> = skipped.keys().map(TypeName::as_str).collect();
    let mut locked = 0;
    while locked < skipped.len() {
        sqlx::query(
            "INSERT INTO tributary.waiting (type, reason, hint, schema_id) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) \
             ON CONFLICT (type) DO NOTHING",
        )
        .bind(&types)
        .bind(texts(|waiting| &waiting.reason))
        .bind(texts(|waiting| &waiting.hint))
        .bind(skipped.values().map(|waiting| waiting.schema.0).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
        locked = sqlx::query("SELECT FROM tributary.waiting WHERE type = ANY ($1) FOR KEY SHARE")
            .bind(&types)
            .fetch_all(&mut *connection)
            .await?
            .len();
    }
    Ok(())
}

/// Takes types off the list whose records need not wait any more; gives how many were taken off and
/// how many wait on.
///
/// # Errors
/// [`CatalogError`] that a later try may heal.
pub async fn release(connection: &mut PgConnection) -> Result<(usize, usize), CatalogError> {
    let waiting: Vec<(String, Option<i32>, Option<String>)> = sqlx::query_as(
        "SELECT w.type, s.id, s.json FROM tributary.waiting AS w \
         LEFT JOIN tributary.schema AS s ON s.id = w.schema_id ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut ready = 0;
    for (entity_type, id, json) in &waiting {
        if let Some(error) = waits_on(connection, *id, json.as_deref()).await? {
            tell(connection, entity_type, &error).await?;
        } else {
            read_again(connection, entity_type).await?;
            tracing::info!(entity_type, "nothing waits any more; reading again what was skipped");
            ready += 1;
        }
    }
    Ok((ready, waiting.len() - ready))
}

/// What a version of a type still waits for. One without a schema that can be read is ready to be
/// looked at anew.
async fn waits_on(
    connection: &mut PgConnection,
    id: Option<i32>,
    json: Option<&str>,
) -> Result<Option<TableError>, CatalogError> {
    let entity = json.and_then(|json| EntityType::parse(json).ok());
    let Some((id, entity)) = id.zip(entity) else { return Ok(None) };
    match Readiness::reach(connection, SchemaId(id), &entity).await? {
        Readiness::Waits(error) => Ok(Some(error)),
        Readiness::Ready(_) | Readiness::LeftBehind(_) | Readiness::GivenUp(_) => Ok(None),
    }
}

/// It may wait for something else than before.
async fn tell(
    connection: &mut PgConnection,
    entity_type: &str,
    error: &TableError,
) -> Result<(), CatalogError> {
    sqlx::query(
        "UPDATE tributary.waiting SET reason = $2, hint = $3 \
         WHERE type = $1 AND (reason, hint) <> ($2, $3)",
    )
    .bind(entity_type)
    .bind(error.to_string())
    .bind(error.hint())
    .execute(connection)
    .await?;
    Ok(())
}

/// The type first: who skips records of it right now has locked it, and is waited for; after that
/// its skipped offsets can be seen.
async fn read_again(connection: &mut PgConnection, entity_type: &str) -> Result<(), CatalogError> {
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM tributary.waiting WHERE type = $1")
        .bind(entity_type)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE tributary.position SET next_offset = least(next_offset, skipped_from), \
         skipped_from = NULL, last_timestamp_ms = NULL, last_key_hash = NULL, updated_at = now() \
         WHERE skipped_from IS NOT NULL",
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}
