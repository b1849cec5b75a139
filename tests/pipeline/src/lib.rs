//! What the end-to-end tests have in common: a world with topics, and a source that publishes.

mod audit;
mod bench;
mod gate;
mod happened;
mod happenings;
mod letters;
mod load;
mod vcenter;
mod words;

pub use bench::{Bench, WIDGET, admin, persister};
pub use gate::{Gate, NO_SCHEMA};
pub use happenings::Happenings;
pub use load::{Load, Order, Proof};
pub use vcenter::{LONG, Pipeline, SOURCE, apply, provider_manifest};
pub use words::complaints;

use harness::{Template, World};
use records::contract::{ContractRecord, Delete, Directive, Extent};
use records::topics::{extent_key, object_key};
use records::{
    Encoder, EntityType, NativeId, Offset, SourceName, Topic, TypeName, Upsert, Value, Version,
};
use sqlx::{Connection, PgConnection};
use std::error::Error;
use std::time::Duration;
use wire::{
    Admin, KafkaSettings, Outgoing, Publisher, Registry, RegistrySettings, SchemaId, Table,
    TopicSpec, frame, peek, unframe,
};

/// What a test's helper may fail with: the test shows it.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many partitions the tests' topics have.
const PARTITIONS: i32 = 4;

/// A database with our own tables.
pub static MIGRATED: Template = Template::new("migrated", |url| {
    Box::pin(async move {
        let mut connection = PgConnection::connect(&url).await?;
        schemas::database::migrate(&mut connection).await?;
        Ok(())
    })
});

async fn make_topics(kafka: &KafkaSettings) -> Outcome<()> {
    let admin = Admin::new(kafka, "tests")?;
    for topic in Topic::ALL {
        let name = kafka.topic(topic);
        let spec = TopicSpec { name, partitions: PARTITIONS, replication: 1, config: Vec::new() };
        admin.ensure_topic(&spec).await?;
    }
    Ok(())
}

/// A source of things, as any program could be one.
pub struct Source {
    kafka: KafkaSettings,
    publisher: Publisher,
    encoder: Encoder,
    name: SourceName,
    entity: SchemaId,
    delete: SchemaId,
    extent: SchemaId,
    registry: Registry,
}

impl Source {
    /// Makes the topics, registers the schema `avsc` and the contract's.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn start(world: &World, avsc: &str) -> Outcome<Self> {
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        make_topics(&kafka).await?;
        let registry = Registry::new(&RegistrySettings::plain(&world.parts().registry.url()))?;
        let entity = EntityType::parse(avsc)?;
        Ok(Self {
            publisher: Publisher::new(&kafka)?,
            entity: registry.register(entity.subject(), entity.json()).await?,
            delete: registry.register(Delete::SUBJECT, Delete::json()).await?,
            extent: registry.register(Extent::SUBJECT, Extent::json()).await?,
            encoder: Encoder::new(entity),
            name: SourceName::new("test")?,
            registry,
            kafka,
        })
    }

    /// Sends a whole object.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn whole(
        &self,
        topic: Topic,
        (id, version): (&str, Version),
        attributes: &[(&'static str, Value)],
    ) -> Outcome<()> {
        let (source, native_id) = (&self.name, &NativeId::new(id)?);
        let partial = false;
        self.post(topic, &Upsert { source, native_id, version, partial, attributes }).await?;
        self.acknowledged().await
    }

    /// Sends some attributes of an object, on the live lane.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn update(
        &self,
        (id, version): (&str, Version),
        attributes: &[(&'static str, Value)],
    ) -> Outcome<()> {
        let (source, native_id) = (&self.name, &NativeId::new(id)?);
        let upsert = Upsert { source, native_id, version, partial: true, attributes };
        self.post(Topic::InventoryLive, &upsert).await?;
        self.acknowledged().await
    }

    /// Sends an object of any source, and does not wait for the acknowledgement.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn post(&self, topic: Topic, upsert: &Upsert<'_>) -> Outcome<()> {
        let mut avro = Vec::new();
        self.encoder.encode(upsert, &mut avro)?;
        let key = object_key(upsert.source, self.entity_type(), upsert.native_id);
        self.put(topic, key, frame(self.entity, &avro)).await
    }

    /// Waits until Kafka has everything.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn acknowledged(&self) -> Outcome<()> {
        Ok(self.publisher.acknowledged().await?)
    }

    /// Sends a delete on the live lane.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn delete(&self, id: &str, version: Version) -> Outcome<()> {
        let delete = Delete {
            source: self.name.to_string(),
            entity_type: self.entity_type().to_string(),
            native_id: id.to_owned(),
            version: version.micros(),
        };
        let key = object_key(&self.name, self.entity_type(), &NativeId::new(id)?);
        self.send(Topic::InventoryLive, key, frame(self.delete, &delete.encode())).await
    }

    /// Sends an extent over everything on the snapshot lane.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn extent(&self, keys: &[&str], version: Version) -> Outcome<()> {
        let extent = Extent {
            source: self.name.to_string(),
            entity_type: Some(self.entity_type().to_string()),
            from: String::new(),
            to: None,
            version: version.micros(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let key = extent_key(&self.name, Some(self.entity_type()));
        self.send(Topic::InventorySnapshot, key, frame(self.extent, &extent.encode())).await
    }

    /// Tells the source's collector to pause.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn pause(&self) -> Outcome<()> {
        let id = self.registry.register(Directive::SUBJECT, Directive::json()).await?;
        let directive = Directive {
            source: self.name.to_string(),
            paused: true,
            bulk_records_per_second: None,
            listing_wanted_since: None,
            scope: None,
            expires_at: Version::now().plus(Duration::from_secs(600)).micros(),
        };
        let payload = frame(id, &directive.encode());
        self.send(Topic::Control, self.name.to_string(), payload).await
    }

    /// What the source's collector is told.
    ///
    /// # Errors
    /// What Kafka said, or that it is nothing.
    pub async fn directive(&self) -> Outcome<Directive> {
        let topic = self.kafka.topic(Topic::Control);
        let mut table = Table::follow(&self.kafka, &topic, self.name.as_str()).await?;
        let payload = table.history().await?.and_then(|newest| newest.payload);
        let payload = payload.ok_or("there is no directive")?;
        Ok(Directive::decode(Directive::schema(), unframe(&payload)?.1)?)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn send(&self, topic: Topic, key: String, payload: Vec<u8>) -> Outcome<()> {
        self.put(topic, key, payload).await?;
        self.acknowledged().await
    }

    async fn put(&self, topic: Topic, key: String, payload: Vec<u8>) -> Outcome<()> {
        let outgoing = Outgoing {
            topic: self.kafka.topic(topic),
            key: Some(key.into_bytes()),
            payload: Some(payload),
            headers: Vec::new(),
        };
        Ok(self.publisher.send(outgoing).await?)
    }

    /// How many records a topic has.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn count(&self, topic: Topic) -> Outcome<i64> {
        let admin = Admin::new(&self.kafka, "tests")?;
        let ends = admin.end_offsets(&self.kafka.topic(topic)).await?;
        Ok(ends.iter().map(|(_, end)| end.0).sum())
    }

    /// The keys of the records that were rejected, sorted.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn dead_letters(&self) -> Outcome<Vec<String>> {
        let topic = self.kafka.topic(Topic::DeadLetters);
        let ends = Admin::new(&self.kafka, "tests")?.end_offsets(&topic).await?;
        let mut keys = Vec::new();
        for (partition, end) in ends {
            for offset in (0..end.0).map(Offset) {
                let found = peek(&self.kafka, &topic, [(partition, offset)].into()).await?;
                let key = found.into_iter().filter_map(|record| record.key);
                keys.extend(key.map(|key| String::from_utf8_lossy(&key).into_owned()));
            }
        }
        keys.sort();
        Ok(keys)
    }

    const fn entity_type(&self) -> &TypeName {
        self.encoder.entity_type().name()
    }
}
