//! What the end-to-end tests have in common: a world with topics, and a source that publishes.

mod vcenter;

pub use vcenter::{LONG, Pipeline, SOURCE, apply, provider_manifest};

use harness::{Template, World};
use records::contract::{ContractRecord, Delete, Extent};
use records::topics::{extent_key, object_key};
use records::{Encoder, EntityType, NativeId, SourceName, Topic, TypeName, Upsert, Value, Version};
use sqlx::{Connection, PgConnection};
use std::error::Error;
use wire::{
    Admin, KafkaSettings, Outgoing, Publisher, Registry, RegistrySettings, SchemaId, TopicSpec,
    frame,
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

/// A source of things, as any program could be one.
pub struct Source {
    kafka: KafkaSettings,
    publisher: Publisher,
    encoder: Encoder,
    name: SourceName,
    entity: SchemaId,
    delete: SchemaId,
    extent: SchemaId,
}

impl Source {
    /// Makes the topics, registers the schema `avsc` and the contract's.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn start(world: &World, avsc: &str) -> Outcome<Self> {
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        let admin = Admin::new(&kafka, "tests")?;
        for topic in Topic::ALL {
            let spec = TopicSpec {
                name: kafka.topic(topic),
                partitions: PARTITIONS,
                replication: 1,
                config: Vec::new(),
            };
            admin.ensure_topic(&spec).await?;
        }
        let registry = Registry::new(&RegistrySettings::plain(&world.parts().registry.url()))?;
        let entity = EntityType::parse(avsc)?;
        Ok(Self {
            publisher: Publisher::new(&kafka)?,
            entity: registry.register(entity.subject(), entity.json()).await?,
            delete: registry.register(Delete::SUBJECT, Delete::json()).await?,
            extent: registry.register(Extent::SUBJECT, Extent::json()).await?,
            encoder: Encoder::new(entity),
            name: SourceName::new("test")?,
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
        self.upsert(topic, &Upsert { source, native_id, version, partial, attributes }).await
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
        self.upsert(Topic::InventoryLive, &upsert).await
    }

    async fn upsert(&self, topic: Topic, upsert: &Upsert<'_>) -> Outcome<()> {
        let mut avro = Vec::new();
        self.encoder.encode(upsert, &mut avro)?;
        let key = object_key(&self.name, self.entity_type(), upsert.native_id);
        self.send(topic, key, frame(self.entity, &avro)).await
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

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn send(&self, topic: Topic, key: String, payload: Vec<u8>) -> Outcome<()> {
        let outgoing = Outgoing {
            topic: self.kafka.topic(topic),
            key: Some(key.into_bytes()),
            payload: Some(payload),
            headers: Vec::new(),
        };
        self.publisher.send(outgoing).await?;
        Ok(self.publisher.acknowledged().await?)
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

    const fn entity_type(&self) -> &TypeName {
        self.encoder.entity_type().name()
    }
}
