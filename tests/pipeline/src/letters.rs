//! What a test sends that no source should, and the dead letters that come of it.

use crate::{Outcome, Source};
use records::Topic;
use records::rejection::header;
use wire::{Admin, Outgoing, Scan, Scanned, SchemaId};

impl Source {
    /// Sends a record as it is, with or without key and value.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn publish(
        &self,
        topic: Topic,
        (key, payload): (Option<&str>, Option<Vec<u8>>),
    ) -> Outcome<()> {
        let key = key.map(|key| key.as_bytes().to_vec());
        let topic = self.kafka.topic(topic);
        self.publisher.send(Outgoing { topic, key, payload, headers: Vec::new() }).await?;
        Ok(self.publisher.acknowledged().await?)
    }

    /// Registers one more schema.
    ///
    /// # Errors
    /// What the registry said.
    pub async fn register(&self, subject: &str, schema: &str) -> Outcome<SchemaId> {
        Ok(self.registry.register(subject, schema).await?)
    }

    /// The dead letters, in the order of the records that they tell of.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn letters(&self) -> Outcome<Vec<Scanned>> {
        let topic = self.kafka.topic(Topic::DeadLetters);
        let ranges = Admin::new(&self.kafka, "tests")?.ranges(&topic).await?;
        let mut scan = Scan::start(&self.kafka, &topic, ranges)?;
        let mut letters = Vec::new();
        while let Some(letter) = scan.next().await? {
            letters.push(letter);
        }
        let number = |letter: &Scanned, name| letter.header(name)?.parse::<i64>().ok();
        letters.sort_by_key(|letter| {
            (number(letter, header::PARTITION), number(letter, header::OFFSET))
        });
        Ok(letters)
    }
}
