//! `persister verify`: the newest complete listing of a source against the rows.
//!
//! A row has the version of each of its registers, so nothing but the listing is needed: what is
//! newer in the row than the listing is not compared, everything else must be what the listing
//! says. Records are decoded by the reference decoder, so that a mistake of ours would show.

mod compare;
mod expected;
mod listing;
mod shown;

use crate::avro_json::decode;
use crate::{OperatorError, Servers};
use apache_avro::types::Value as Avro;
use compare::Comparison;
use expected::field;
use listing::{Listing, Meaning, Meanings, listings};
use records::{EntityType, SourceName, Topic, TypeName};
use schemas::database::connect_one;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wire::{Admin, Scan, Scanned, unframe};

pub(crate) use shown::Verified;

/// How many objects are compared by one statement.
const CHUNK: usize = 1_000;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The source.
    pub source: SourceName,
    /// One type; `None`: all that have a complete listing.
    pub entity_type: Option<String>,
}

/// Compares the newest complete listings with the rows.
pub(crate) async fn verify(servers: &Servers, wanted: &Wanted) -> Result<Verified, OperatorError> {
    let kafka = &servers.access.kafka;
    let topic = kafka.topic(Topic::InventorySnapshot);
    let ranges = Admin::new(kafka, &servers.access.group)?.ranges(&topic).await?;
    let mut connection = connect_one(&servers.access.database).await?;
    let mut meanings = Meanings::new(&servers.registry)?;
    let applied = Applied::read(&mut connection, &topic).await?;
    let scan = Scan::start(kafka, &topic, ranges.clone())?;
    let listings = listings(scan, &mut meanings, (wanted, &applied)).await?;
    if listings.is_empty() {
        let message = format!(
            "topic {topic} has no complete listing of {}: it was not listed yet, or retention has \
             removed a part; ask for a refresh",
            wanted.source
        );
        return Err(OperatorError::NotNow(message));
    }
    check_waiting(&mut connection, &listings).await?;
    let scan = Scan::start(kafka, &topic, ranges)?;
    let objects = Objects { source: &wanted.source, listings, chunks: HashMap::new() };
    objects.compare(scan, &mut meanings, (&mut connection, &applied)).await
}

/// Rows of a type that waits lack what was skipped.
async fn check_waiting(
    connection: &mut PgConnection,
    listings: &BTreeMap<TypeName, Listing>,
) -> Result<(), OperatorError> {
    let types: Vec<&str> = listings.keys().map(TypeName::as_str).collect();
    let waiting: Option<String> = sqlx::query_scalar(
        "SELECT type::text FROM tributary.waiting WHERE type = ANY ($1) LIMIT 1",
    )
    .bind(types)
    .fetch_optional(connection)
    .await?;
    match waiting {
        None => Ok(()),
        Some(name) => {
            let message = format!("records of type {name} wait; `persister status` says what for");
            Err(OperatorError::NotNow(message))
        }
    }
}

/// How far the snapshot topic is applied.
#[derive(Debug)]
pub(crate) struct Applied(HashMap<i32, i64>);

impl Applied {
    async fn read(connection: &mut PgConnection, topic: &str) -> Result<Self, OperatorError> {
        let positions: Vec<(i32, i64)> = sqlx::query_as(
            "SELECT partition, next_offset FROM tributary.position WHERE topic = $1",
        )
        .bind(topic)
        .fetch_all(connection)
        .await?;
        Ok(Self(positions.into_iter().collect()))
    }

    /// # Errors
    /// [`OperatorError::NotNow`] if a record of the listing is not a row yet.
    fn check(&self, record: &Scanned) -> Result<(), OperatorError> {
        let next = self.0.get(&record.partition.0).copied().unwrap_or_default();
        if record.offset.0 < next {
            return Ok(());
        }
        Err(OperatorError::NotNow(format!(
            "the listing is not applied yet: partition {} of the snapshot topic is at {next}, and \
             the listing goes to {} at least; try again",
            record.partition, record.offset
        )))
    }
}

/// Objects of one schema: native ids and decoded records.
type Chunk = (Arc<EntityType>, Vec<(String, Avro)>);

/// The objects of listings, in chunks.
struct Objects<'a> {
    source: &'a SourceName,
    listings: BTreeMap<TypeName, Listing>,
    chunks: HashMap<i32, Chunk>,
}

impl Objects<'_> {
    async fn compare(
        mut self,
        mut scan: Scan,
        meanings: &mut Meanings,
        (connection, applied): (&mut PgConnection, &Applied),
    ) -> Result<Verified, OperatorError> {
        let mut verified = Verified::default();
        while let Some(record) = scan.next().await? {
            let Some((id, entity, avro)) = entity_of(&record, meanings).await? else { continue };
            if self.take(id, entity, avro) {
                applied.check(&record)?;
            }
            if self.chunks.get(&id).is_some_and(|(_, objects)| objects.len() >= CHUNK) {
                self.flush(id, connection, &mut verified).await?;
            }
        }
        for id in self.chunks.keys().copied().collect::<Vec<_>>() {
            self.flush(id, connection, &mut verified).await?;
        }
        for (name, listing) in &self.listings {
            let comparison = Comparison { source: self.source, name, version: listing.version };
            comparison.existence(connection, listing, &mut verified).await?;
            verified.summarize(name.as_str(), listing);
        }
        Ok(verified)
    }

    /// Keeps an object that is part of its type's listing; says whether it is.
    fn take(&mut self, id: i32, entity: Arc<EntityType>, avro: Avro) -> bool {
        let Some(listing) = self.listings.get_mut(entity.name()) else { return false };
        let version = listing.version.micros();
        let native_id = match ["source", "version", "update_mask", "native_id"]
            .map(|name| field(&avro, name))
        {
            [
                Some(Avro::String(source)),
                Some(Avro::Long(at) | Avro::TimestampMicros(at)),
                Some(Avro::Null),
                Some(Avro::String(native_id)),
            ] if source == self.source.as_str() && *at == version => native_id.clone(),
            _ => return false,
        };
        match listing.keys.get_mut(&native_id) {
            Some(has_record) => *has_record = true,
            None => return false,
        }
        self.chunks.entry(id).or_insert_with(|| (entity, Vec::new())).1.push((native_id, avro));
        true
    }

    async fn flush(
        &mut self,
        id: i32,
        connection: &mut PgConnection,
        verified: &mut Verified,
    ) -> Result<(), OperatorError> {
        let Some((entity, objects)) = self.chunks.remove(&id) else { return Ok(()) };
        let name = entity.name();
        let Some(listing) = self.listings.get(name) else { return Ok(()) };
        let comparison = Comparison { source: self.source, name, version: listing.version };
        comparison.values(connection, (&entity, &objects), verified).await
    }
}

/// The decoded record, if it is an entity; what can't be decoded is a dead letter, and no row.
async fn entity_of(
    record: &Scanned,
    meanings: &mut Meanings,
) -> Result<Option<(i32, Arc<EntityType>, Avro)>, OperatorError> {
    let framed = record.payload.as_deref().and_then(|payload| unframe(payload).ok());
    let Some((id, mut avro)) = framed else { return Ok(None) };
    let Meaning::Entity(entity) = meanings.of(id).await? else { return Ok(None) };
    let decoded = decode(entity.schema(), &mut avro).ok();
    Ok(decoded.map(|avro| (id.0, entity, avro)))
}
