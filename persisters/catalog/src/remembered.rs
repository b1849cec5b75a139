//! `tributary.schema`: what each schema id stood for when it was first met, and so whose table is
//! whose.

use crate::error::CatalogError;
use records::{EntityType, type_name_of_record};
use sqlx::{Connection, PgConnection};
use wire::SchemaId;

/// What an id stood for.
pub(crate) async fn recall(
    connection: &mut PgConnection,
    id: SchemaId,
) -> Result<Option<String>, CatalogError> {
    Ok(sqlx::query_scalar("SELECT json FROM tributary.schema WHERE id = $1")
        .bind(id.0)
        .fetch_optional(connection)
        .await?)
}

/// Remembers what an id stands for, unless another record type had its table before: then it gives
/// that one's subject. One after the other, so that all members agree who was first.
pub(crate) async fn remember(
    connection: &mut PgConnection,
    id: SchemaId,
    entity: &EntityType,
) -> Result<Option<String>, CatalogError> {
    let mut transaction = connection.begin().await?;
    sqlx::query("LOCK TABLE tributary.schema IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let first = first_of_table(&mut transaction, entity).await?;
    let other = first.filter(|first| first != entity.subject());
    if other.is_none() {
        match recall(&mut transaction, id).await? {
            Some(known) if known == entity.json() => {}
            Some(_) => return Err(CatalogError::OtherRegistry(id.0)),
            None => insert(&mut transaction, id, entity).await?,
        }
    }
    transaction.commit().await?;
    Ok(other)
}

/// The subject of the record type that was the first to have an entity's table.
async fn first_of_table(
    connection: &mut PgConnection,
    entity: &EntityType,
) -> Result<Option<String>, CatalogError> {
    let known: Vec<(String, String)> =
        sqlx::query_as("SELECT subject, json FROM tributary.schema ORDER BY first_seen_at, id")
            .fetch_all(connection)
            .await?;
    let has_table = |(subject, json): &(String, String)| {
        let record = subject.rsplit('.').next().unwrap_or_default();
        type_name_of_record(record).is_ok_and(|name| name == *entity.name())
            && EntityType::parse(json).is_ok()
    };
    Ok(known.into_iter().find(has_table).map(|(subject, _)| subject))
}

async fn insert(
    connection: &mut PgConnection,
    id: SchemaId,
    entity: &EntityType,
) -> Result<(), CatalogError> {
    sqlx::query(
        "INSERT INTO tributary.schema (id, subject, fingerprint, json) \
         VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'), $3)",
    )
    .bind(id.0)
    .bind(entity.subject())
    .bind(entity.json())
    .execute(connection)
    .await?;
    Ok(())
}
