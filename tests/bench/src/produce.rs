//! Fills topics: for ours with our records, for the peers with the same values in flat Avro.

use crate::error::Error;
use crate::rig::Rig;
use records::topics::object_key;
use records::{Encoder, NativeId, SourceName, Upsert};
use serde_json::{Value as Json, json};
use wire::{Outgoing, Publisher, SchemaId, frame};
use workloads::objects::{self, PARTIAL};
use workloads::{Item, Workload};

/// For whom a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Our contract.
    Ours,
    /// What the peers understand: no update mask.
    Flat,
}

/// Makes records of one form and sends them.
pub struct Producer {
    publisher: Publisher,
    encoder: Encoder,
    schema: SchemaId,
    sources: Vec<SourceName>,
    topic: String,
    form: Form,
}

impl Producer {
    /// Registers the form's schema; `topic` must be there.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn new(rig: &Rig, form: Form, topic: String) -> Result<Self, Error> {
        let entity = objects::entity_type();
        let (subject, json) = match form {
            Form::Ours => (entity.subject().to_owned(), entity.json().to_owned()),
            Form::Flat => ("bench.Vm".to_owned(), flat_schema(entity.json())),
        };
        let schema = rig.registry()?.register(&subject, &json).await?;
        let publisher = Publisher::new(&rig.kafka(""))?;
        let source = SourceName::new("bench").expect("these letters may be a source");
        let (encoder, sources) = (Encoder::new(entity), vec![source]);
        Ok(Self { publisher, encoder, schema, sources, topic, form })
    }

    /// The objects are of so many sources, in turns.
    #[must_use]
    pub fn of_sources(self, count: u64) -> Self {
        let name = |number| format!("bench-{number}");
        let sources = (0..count).filter_map(|number| SourceName::new(name(number)).ok()).collect();
        Self { sources, ..self }
    }

    /// Sends one record; it may still be on its way afterwards.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn send(&self, item: Item, partial: bool) -> Result<(), Error> {
        let native_id = NativeId::new(objects::native_id(item.object))
            .expect("a number behind letters may be an id");
        let mut attributes = objects::attributes(item.object, item.changes);
        if partial {
            attributes.retain(|(name, _)| PARTIAL.contains(name));
        }
        let source = &self.sources[item.object as usize % self.sources.len()];
        let version = item.version;
        let (native_id, attributes) = (&native_id, attributes.as_slice());
        let mut avro = Vec::with_capacity(320);
        self.encoder
            .encode(&Upsert { source, native_id, version, partial, attributes }, &mut avro)?;
        if self.form == Form::Flat {
            remove_mask(&mut avro, native_id.as_str().len() + source.as_str().len());
        }
        let key = object_key(source, self.encoder.entity_type().name(), native_id);
        let payload = Some(frame(self.schema, &avro));
        let (topic, key) = (self.topic.clone(), Some(key.into_bytes()));
        Ok(self.publisher.send(Outgoing { topic, key, payload, headers: Vec::new() }).await?)
    }

    /// Sends records and waits until they are on the topic.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn send_all(
        &self,
        items: impl Iterator<Item = Item>,
        partial: bool,
    ) -> Result<(), Error> {
        for item in items {
            self.send(item, partial).await?;
        }
        self.acknowledged().await
    }

    /// Waits until everything that was sent is on the topic.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn acknowledged(&self) -> Result<(), Error> {
        Ok(self.publisher.acknowledged().await?)
    }
}

/// The prefix of the topics that ours read for a workload.
#[must_use]
pub fn prefix(workload: Workload) -> String {
    format!("{workload:?}.").to_lowercase()
}

/// The topic that ours read for a workload.
#[must_use]
pub fn lane(workload: Workload) -> String {
    workload.lane().name(&prefix(workload))
}

/// The topic that the peers read for a workload.
#[must_use]
pub fn flat_topic(workload: Workload) -> String {
    format!("{}flat", prefix(workload))
}

/// Makes the topics of a workload and fills the one of the form.
///
/// # Errors
/// What Kafka or the registry said.
pub async fn fill(rig: &Rig, workload: Workload, form: Form) -> Result<(), Error> {
    let topic = match form {
        Form::Ours => {
            rig.make_topics(&prefix(workload)).await?;
            lane(workload)
        }
        Form::Flat => {
            rig.make_topic(flat_topic(workload)).await?;
            flat_topic(workload)
        }
    };
    let items = workload.items(rig.records, rig.epoch);
    Producer::new(rig, form, topic).await?.send_all(items, workload.is_partial()).await
}

/// Our schema without the update mask, and with the name by which Kafka Connect knows a UUID.
fn flat_schema(ours: &str) -> String {
    let mut schema: Json = serde_json::from_str(ours).unwrap_or_default();
    schema["name"] = json!("Vm");
    schema["namespace"] = json!("bench");
    if let Some(fields) = schema["fields"].as_array_mut() {
        fields.retain(|field| field["name"] != "update_mask");
        for field in fields.iter_mut().filter(|field| field["name"] == "uuid") {
            field["type"] =
                json!(["null", {"type": "string", "connect.name": "io.debezium.data.Uuid"}]);
        }
    }
    schema.to_string()
}

/// Takes the one byte of the null mask out of a whole record: it stands behind two texts, each
/// with a length of one byte, and the version, whose last byte has no high bit.
fn remove_mask(avro: &mut Vec<u8>, text_bytes: usize) {
    let version = text_bytes + 2;
    let last = avro[version..].iter().position(|byte| byte & 0x80 == 0);
    avro.remove(version + last.unwrap_or_default() + 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Version;

    fn record(number: u64, partial: bool) -> Vec<u8> {
        let (source, native_id) = (&SourceName::new("bench").unwrap(), &objects::native_id(number));
        let native_id = &NativeId::new(native_id).unwrap();
        let attributes = objects::attributes(number, 0);
        let (version, attributes) = (Version::from_micros(1), attributes.as_slice());
        let mut avro = Vec::new();
        let upsert = Upsert { source, native_id, version, partial, attributes };
        Encoder::new(objects::entity_type()).encode(&upsert, &mut avro).unwrap();
        avro
    }

    #[test]
    fn the_flat_form_lacks_the_null_behind_the_version() {
        let (ours, mut flat) = (record(7, false), record(7, false));
        remove_mask(&mut flat, "bench".len() + "vm-7".len());
        // Two texts with a byte of length each, and a version of one byte.
        let mask = 6 + 5 + 1;
        assert_eq!(ours[mask], 0);
        assert_eq!(flat, [&ours[..mask], &ours[mask + 1..]].concat());
    }

    #[test]
    fn a_record_is_about_as_long_as_the_report_says() {
        let bytes: usize = (0..1_000).map(|number| record(number, false).len()).sum();
        assert!((240_000..290_000).contains(&bytes), "{bytes}");
    }
}
