//! `persister explain --records`: a batch as its topic has it, decoded and folded.

use crate::dead_letters::full_name;
use crate::explain::{Explained, explained};
use crate::{OperatorError, Servers};
use apache_avro::Schema;
use plan::Batch;
use records::rejection::Origin;
use records::{EntityType, Offset};
use schemas::database::connect_one;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use wire::{Admin, LogRange, Registry, Scan, SchemaId, unframe};

/// Records of a topic, by their schemas.
#[derive(Debug)]
pub(crate) struct Captured {
    first: Origin,
    records: usize,
    parts: BTreeMap<i32, Part>,
    /// What can't be decoded, and why.
    refused: Vec<(Offset, String)>,
}

/// The records of one schema.
#[derive(Debug)]
struct Part {
    /// The schema's full name.
    name: String,
    records: usize,
    /// Of entities: how they are read and written, and what was read.
    entities: Option<(Explained, Batch)>,
}

/// How the objects of a batch are written.
struct Objects {
    whole: usize,
    partial: usize,
    several: usize,
}

/// Reads and decodes so many records from one on; applies nothing.
pub(crate) async fn capture(
    servers: &Servers,
    (first, count): (Origin, u16),
) -> Result<Captured, OperatorError> {
    let kafka = &servers.access.kafka;
    let first = Origin { topic: full_name(servers, first.topic), ..first };
    let ranges = Admin::new(kafka, &servers.access.group)?.ranges(&first.topic).await?;
    let found = ranges.iter().find(|(partition, _)| *partition == first.partition);
    let range = found.map(|(_, range)| *range).ok_or_else(|| nowhere(&first, None))?;
    if first.offset < range.first || first.offset >= range.end {
        return Err(nowhere(&first, Some(range)));
    }
    let end = range.end.min(Offset(first.offset.0 + i64::from(count)));
    let wanted = vec![(first.partition, LogRange { first: first.offset, end })];
    let mut scan = Scan::start(kafka, &first.topic, wanted)?;
    let mut connection = connect_one(&servers.access.database).await?;
    let registry = Registry::new(&servers.registry)?;
    let (records, parts) = (0, BTreeMap::new());
    let mut captured = Captured { first, records, parts, refused: Vec::new() };
    while let Some(record) = scan.next().await? {
        let payload = record.payload.unwrap_or_default();
        let added = captured.add(&payload, &registry, &mut connection).await?;
        captured.refused.extend(added.err().map(|reason| (record.offset, reason)));
        captured.records += 1;
    }
    Ok(captured)
}

fn nowhere(wanted: &Origin, range: Option<LogRange>) -> OperatorError {
    let Origin { topic, partition, offset } = wanted;
    OperatorError::Request(match range {
        None => format!("there is no partition {partition} of a topic {topic}"),
        Some(LogRange { first, end }) => format!(
            "partition {partition} of {topic} has the records from {first} to before {end}, so \
             {offset} is none of them"
        ),
    })
}

impl Captured {
    /// Adds a record; gives why it is refused.
    async fn add(
        &mut self,
        payload: &[u8],
        registry: &Registry,
        connection: &mut PgConnection,
    ) -> Result<Result<(), String>, OperatorError> {
        let (id, avro) = match unframe(payload) {
            Ok(framed) => framed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let part = match self.parts.entry(id.0) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let json = match registry.schema(id).await {
                    Ok(json) => json,
                    Err(error) if error.is_final() => return Ok(Err(error.to_string())),
                    Err(error) => return Err(error.into()),
                };
                new.insert(Part::new((id, &json), connection).await?)
            }
        };
        part.records += 1;
        let Some((explained, batch)) = &mut part.entities else { return Ok(Ok(())) };
        let decoded = explained.plan.decode(avro, part.records, batch);
        Ok(decoded.map_err(|error| error.to_string()))
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{} records from {} on\n", self.records, self.first);
        let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");
        for (offset, reason) in &self.refused {
            line(format!("offset {offset} is refused: {reason}"));
        }
        for (id, part) in &self.parts {
            line(format!("\n{} records of schema id {id}, {}", part.records, part.name));
            let Some((explained, batch)) = &part.entities else { continue };
            let objects = Objects::of(batch);
            for (count, what) in objects.each() {
                line(format!("{count:>8} objects have {what}"));
            }
            line(format!("\n{}", explained.text()));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let part = |(id, part): (&i32, &Part)| {
            let entities = part.entities.as_ref().map(|(explained, batch)| {
                let Objects { whole, partial, several } = Objects::of(batch);
                let objects = json!({ "whole": whole, "partial": partial, "several": several });
                json!({ "objects": objects, "explained": explained.json() })
            });
            json!({
                "schema_id": id, "name": part.name, "records": part.records, "entities": entities,
            })
        };
        let refused =
            |(offset, reason): &(Offset, String)| json!({ "offset": offset.0, "reason": reason });
        json!({
            "from": self.first.to_string(),
            "records": self.records,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
            "schemas": self.parts.iter().map(part).collect::<Vec<_>>(),
        })
    }
}

impl Part {
    async fn new(
        (id, json): (SchemaId, &str),
        connection: &mut PgConnection,
    ) -> Result<Self, OperatorError> {
        let entities = match EntityType::parse(json) {
            Ok(entity) => {
                let explained = explained(connection, (Some(id.0), entity)).await?;
                let batch = Batch::new(explained.layout.clone());
                Some((explained, batch))
            }
            Err(_) => None,
        };
        let schema = Schema::parse_str(json).ok();
        let name = schema.and_then(|schema| Some(schema.name()?.fullname(None)));
        let name = name.unwrap_or_else(|| "which is no record".to_owned());
        Ok(Self { name, records: 0, entities })
    }
}

impl Objects {
    fn of(batch: &Batch) -> Self {
        let mut objects = Self { whole: 0, partial: 0, several: 0 };
        for group in batch.groups() {
            *match (batch.is_whole(&group), batch.is_partial(&group)) {
                (true, _) => &mut objects.whole,
                (false, true) => &mut objects.partial,
                (false, false) => &mut objects.several,
            } += 1;
        }
        objects
    }

    fn each(&self) -> [(usize, &'static str); 3] {
        [
            (self.whole, "one whole record: compare in a listing, overwrite in live changes"),
            (self.partial, "partial records: patch of the attributes that they name"),
            (self.several, "several records, not all partial: folded, then overwrite"),
        ]
    }
}
