//! For tests: an outlet that remembers, in words, and a type to send.

use crate::context::Context;
use crate::control::Wishes;
use crate::formats::Formats;
use crate::guard::Guard;
use crate::inventory::{Counts, Inventory};
use crate::outlet::{Outlet, Record};
use crate::pace::Pace;
use crate::{CollectError, Metrics};
use provider::{Entity, Observation};
use records::contract::{ContractRecord, Extent, Position};
use records::{EntityType, NativeId, SourceName, Topic, TypeName, Value, Version};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use wire::{KafkaSettings, Registry, RegistrySettings};

/// What an inventory has sent, and each wait for acknowledgement as `ack`.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    /// What came since the last question.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Outlet for Recorder {
    async fn send(&self, record: Record) -> Result<(), CollectError> {
        let avro = &record.payload[5..];
        let what = match record.topic {
            Topic::Checkpoints => {
                let position = Position::decode(Position::schema(), avro).unwrap();
                String::from_utf8(position.token).unwrap()
            }
            _ if record.key.matches('/').count() == 1 => {
                let extent = Extent::decode(Extent::schema(), avro).unwrap();
                format!("[{},{:?}) {:?}", extent.from, extent.to, extent.keys)
            }
            _ => format!("{} bytes, schema {}", avro.len(), record.payload[4]),
        };
        let line = format!("{} {}: {what}", record.topic.suffix(), record.key);
        self.0.lock().unwrap().push(line);
        Ok(())
    }

    async fn acknowledged(&self) -> Result<(), CollectError> {
        self.0.lock().unwrap().push("ack".to_owned());
        Ok(())
    }
}

/// A type with one attribute.
pub fn thing() -> EntityType {
    EntityType::parse(
        r#"{"type":"record","name":"Thing","fields":[
        {"name":"source","type":"string"},{"name":"native_id","type":"string"},
        {"name":"version","type":"long"},
        {"name":"update_mask","type":["null",{"type":"array","items":"string"}]},
        {"name":"name","type":["null","string"]}]}"#,
    )
    .unwrap()
}

/// A thing of this id.
pub fn entity(id: &str) -> Entity {
    Entity {
        entity_type: thing().name().clone(),
        native_id: NativeId::new(id).unwrap(),
        attributes: vec![("name", Value::from(id))],
    }
}

/// A version.
pub fn at(micros: i64) -> Version {
    Version::from_micros(micros)
}

/// A whole listing of things.
pub fn listing(version: Version, ids: impl IntoIterator<Item = String>) -> Vec<Observation> {
    let seen = ids.into_iter().map(|id| Observation::Listed(version, entity(&id)));
    let name = thing().name().clone();
    let end = [
        Observation::Complete(version, name, provider::Range::all()),
        Observation::ListingEnds(version),
    ];
    seen.chain(end).collect()
}

/// An inventory of things that goes on after `counts`.
pub fn inventory(counts: &[(&str, usize)]) -> (Inventory<Recorder>, Recorder) {
    let recorder = Recorder::default();
    let context = Context {
        source: SourceName::new("vc1").unwrap(),
        kafka: KafkaSettings::plain("127.0.0.1:1", ""),
        registry: Registry::new(&RegistrySettings::plain("http://127.0.0.1:1")).unwrap(),
        metrics: Metrics::default(),
    };
    let counts: Counts =
        counts.iter().map(|(name, count)| (TypeName::new(*name).unwrap(), *count)).collect();
    let pace = Pace::new(watch::channel(Wishes::default()).1);
    let formats = Arc::new(Formats::of_test(&[thing()]));
    let memory = (Guard::after(&counts), pace);
    (Inventory::new(recorder.clone(), &context, formats, memory), recorder)
}
