//! `tributary.schema`: what each schema id stood for when it was first met, and so whose table is
//! whose.

use crate::error::CatalogError;
use records::{EntityType, TypeName, type_name_of_record};
use serde_json::Value;
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

/// Whether two schemas are the same one: a registry may write it in another form, but each of its
/// properties may count.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let parse = |schema| serde_json::from_str::<Value>(schema).ok();
    one == other || parse(one).is_some_and(|one| parse(other) == Some(one))
}

/// Remembers what an id stands for, an entity type or a record of the contract. If another record
/// type had the entity's table before, it gives that one's subject instead. One after the other, so
/// that all members agree who was first.
pub(crate) async fn remember(
    connection: &mut PgConnection,
    id: SchemaId,
    (subject, json): (&str, &str),
    entity: Option<&EntityType>,
) -> Result<Option<String>, CatalogError> {
    let mut transaction = connection.begin().await?;
    sqlx::query("LOCK TABLE tributary.schema IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let first = match entity {
        None => None,
        Some(entity) => first_of_table(&mut transaction, entity.name()).await?,
    };
    let first = first.map(|first| first.subject().to_owned());
    let other = first.filter(|first| first != subject);
    if other.is_none() {
        match recall(&mut transaction, id).await? {
            Some(known) if is_same(&known, json) => {}
            Some(_) => return Err(CatalogError::OtherRegistry(id.0)),
            None => insert(&mut transaction, id, (subject, json)).await?,
        }
    }
    transaction.commit().await?;
    Ok(other)
}

/// The record type that was the first to have a table, in one of its versions.
pub(crate) async fn first_of_table(
    connection: &mut PgConnection,
    table: &TypeName,
) -> Result<Option<EntityType>, CatalogError> {
    let known: Vec<(String, String)> =
        sqlx::query_as("SELECT subject, json FROM tributary.schema ORDER BY first_seen_at, id")
            .fetch_all(connection)
            .await?;
    let of_table = |(subject, json): (String, String)| {
        let record = subject.rsplit('.').next().unwrap_or_default();
        let is_of_table = type_name_of_record(record).is_ok_and(|name| name == *table);
        if is_of_table { EntityType::parse(&json).ok() } else { None }
    };
    Ok(known.into_iter().find_map(of_table))
}

async fn insert(
    connection: &mut PgConnection,
    id: SchemaId,
    (subject, json): (&str, &str),
) -> Result<(), CatalogError> {
    sqlx::query(
        "INSERT INTO tributary.schema (id, subject, fingerprint, json) \
         VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'), $3)",
    )
    .bind(id.0)
    .bind(subject)
    .bind(json)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_form_is_the_same_schema_and_another_property_is_not() {
        let schema = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
        assert!(is_same(schema, "{ \"logicalType\": \"timestamp-micros\",\n \"type\": \"long\" }"));
        assert!(!is_same(schema, r#"{"type":"long"}"#));
        assert!(!is_same(schema, r#"{"type":"long","logicalType":"timestamp-millis"}"#));
        assert!(is_same("syntax = proto3", "syntax = proto3"));
        assert!(!is_same("syntax = proto3", "syntax = proto2"));
    }
}
