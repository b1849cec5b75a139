//! Rows against a listing, by statements that leave out what the rows know better.

use super::expected::{comparable, field, scale, text};
use super::listing::Listing;
use super::shown::{Drift, Verified};
use crate::OperatorError;
use apache_avro::types::Value as Avro;
use records::extents::Extents;
use records::{EntityType, SourceName, TypeName, Version};
use schemas::tables::columns;
use sqlx::{AssertSqlSafe, PgConnection};

/// What is compared: a type of a source as of a version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison<'a> {
    /// The source.
    pub source: &'a SourceName,
    /// The type.
    pub name: &'a TypeName,
    /// The listing's version.
    pub version: Version,
}

impl Comparison<'_> {
    /// Objects that the listing has and the table has not, and the other way round.
    pub async fn existence(
        &self,
        connection: &mut PgConnection,
        listing: &Listing,
        verified: &mut Verified,
    ) -> Result<(), OperatorError> {
        if columns(connection, self.name).await?.is_none() {
            let missing = listing.keys.keys().cloned();
            missing.for_each(|id| verified.add(self.name.as_str(), id, Drift::Missing));
            return Ok(());
        }
        let newer = self.newer_extents(connection).await?;
        let keys: Vec<&String> = listing.keys.keys().collect();
        for chunk in keys.chunks(super::CHUNK) {
            for (id, has_row) in self.missing(connection, chunk).await? {
                // Without a row, only a newer extent can tell that the object has ended since.
                if has_row || newer.cover(&id) <= self.version {
                    verified.add(self.name.as_str(), id, Drift::Missing);
                }
            }
        }
        let living: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT native_id::text FROM inventory_all.\"{}\" WHERE source = $1 \
             AND alive AND base_version IS NOT NULL AND existence_version < $2 ORDER BY 1",
            self.name
        )))
        .bind(self.source.as_str())
        .bind(self.version.micros())
        .fetch_all(connection)
        .await?;
        for id in living.into_iter().filter(|id| !listing.keys.contains_key(id)) {
            verified.add(self.name.as_str(), id, Drift::Extra);
        }
        Ok(())
    }

    /// Listed objects that have no row, or one that was not seen whole or has ended before.
    async fn missing(
        &self,
        connection: &mut PgConnection,
        keys: &[&String],
    ) -> Result<Vec<(String, bool)>, OperatorError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT i.id, t.native_id IS NOT NULL FROM unnest($2::text[]) AS i(id) \
             LEFT JOIN inventory_all.\"{}\" AS t ON t.source = $1 AND t.native_id = i.id \
             WHERE t.native_id IS NULL OR (t.alive AND t.base_version IS NOT NULL) IS NOT TRUE \
             AND coalesce(t.existence_version, 0) <= $3",
            self.name
        )))
        .bind(self.source.as_str())
        .bind(keys)
        .bind(self.version.micros())
        .fetch_all(connection)
        .await?)
    }

    async fn newer_extents(&self, connection: &mut PgConnection) -> Result<Extents, OperatorError> {
        let rows: Vec<(String, Option<String>, i64)> = sqlx::query_as(
            "SELECT from_id::text, to_id::text, version FROM tributary.extent \
             WHERE source = $1 AND type IN ($2, '')",
        )
        .bind(self.source.as_str())
        .bind(self.name.as_str())
        .fetch_all(connection)
        .await?;
        let mut extents = Extents::default();
        for (from, to, version) in rows {
            extents.insert(&from, to.as_deref(), Version::from_micros(version));
        }
        Ok(extents)
    }

    /// Attributes that differ, but for those that the row has a newer value of.
    pub async fn values(
        &self,
        connection: &mut PgConnection,
        (entity, objects): (&EntityType, &[(String, Avro)]),
        verified: &mut Verified,
    ) -> Result<(), OperatorError> {
        let statement = self.differing(entity);
        let mut query = sqlx::query_as::<_, (String, Vec<String>)>(AssertSqlSafe(statement))
            .bind(self.source.as_str())
            .bind(self.version.micros())
            .bind(objects.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
        for attribute in entity.attributes() {
            let scale = scale(entity, attribute);
            let value = |record| field(record, attribute.name.as_str());
            let texts = objects.iter().map(|(_, record)| text(value(record)?, scale));
            query = query.bind(texts.collect::<Vec<Option<String>>>());
        }
        for (id, attributes) in query.fetch_all(connection).await? {
            verified.add(self.name.as_str(), id, Drift::Differs(attributes));
        }
        verified.compared(self.name.as_str(), objects.len());
        Ok(())
    }

    /// An attribute that the base's schema lacks has an exception, or no value at all.
    fn differing(&self, entity: &EntityType) -> String {
        let numbered = || entity.attributes().iter().zip(4..);
        let arrays: String = numbered().map(|(_, n)| format!(", ${n}::text[]")).collect();
        let names: String = numbered().map(|(_, n)| format!(", a{n}")).collect();
        let differs = |(attribute, n): (&records::Attribute, i32)| {
            let name = attribute.name.as_str();
            let (own, listed) = comparable(attribute.column, name, &format!("i.a{n}"));
            format!(
                "CASE WHEN coalesce((t.exceptions ->> '{name}')::bigint, t.base_version) <= $2 \
                 AND {own} IS DISTINCT FROM {listed} THEN '{name}' END"
            )
        };
        let differs: Vec<String> = numbered().map(differs).collect();
        format!(
            "SELECT id, attributes FROM (SELECT i.id, \
             array_remove(ARRAY[{}]::text[], NULL) AS attributes \
             FROM unnest($3::text[]{arrays}) AS i(id{names}) \
             JOIN inventory_all.\"{}\" AS t ON t.source = $1 AND t.native_id = i.id \
             WHERE t.alive AND t.base_version IS NOT NULL AND t.floor_version <= $2) AS d \
             WHERE cardinality(attributes) > 0",
            differs.join(", "),
            self.name
        )
    }
}
