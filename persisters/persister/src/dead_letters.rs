//! The side door: rejected records go to the dead-letter topic with reason and origin.

use crate::decode::Rejected;
use crate::error::PersistError;
use records::rejection::header;
use records::{Topic, Version};
use wire::{Incoming, KafkaProblem, KafkaSettings, Outgoing, Publisher};

/// The most of a message: it may quote a record.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// The largest key that a letter without its record still has.
const KEY_BYTES_MAX: usize = 4_096;

/// Sends rejected records and waits until the broker has them.
#[derive(Clone)]
pub struct DeadLetters {
    kafka: KafkaSettings,
    publisher: Publisher,
}

impl DeadLetters {
    /// Connects in the background.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn new(kafka: &KafkaSettings) -> Result<Self, KafkaProblem> {
        Ok(Self { kafka: kafka.clone(), publisher: Publisher::new(kafka)? })
    }

    /// Sends the rejected of the fetched records of `origin`; at least once, identified by origin.
    /// One that is too large for the topic is told without its value, which stays at its origin:
    /// it must not hold up all that comes after it.
    ///
    /// # Errors
    /// If the broker does not acknowledge: the batch must not be committed.
    pub async fn send(
        &mut self,
        origin: &str,
        fetched: &[Incoming],
        rejected: &[&Rejected],
    ) -> Result<(), PersistError> {
        if rejected.is_empty() {
            return Ok(());
        }
        let topic = self.kafka.topic(Topic::DeadLetters);
        let letter = |reject: &&Rejected| Outgoing {
            topic: topic.clone(),
            key: fetched[reject.origin].key.as_deref().map(Into::into),
            payload: fetched[reject.origin].payload.as_deref().map(Into::into),
            headers: headers(origin, &fetched[reject.origin], reject),
        };
        match self.publish(rejected.iter().map(letter)).await {
            Err(problem) if problem.is_too_large() => {}
            done => return Ok(done?),
        }
        for letter in rejected.iter().map(letter) {
            match self.publish(std::iter::once(letter.clone())).await {
                Err(problem) if problem.is_too_large() => {
                    self.publish(std::iter::once(left_out(letter))).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn publish(
        &mut self,
        letters: impl Iterator<Item = Outgoing>,
    ) -> Result<(), KafkaProblem> {
        let sent = self.try_publish(letters).await;
        if sent.is_err() {
            // A publisher that has failed once fails for ever, to keep its order.
            self.publisher = Publisher::new(&self.kafka)?;
        }
        sent
    }

    async fn try_publish(
        &self,
        letters: impl Iterator<Item = Outgoing>,
    ) -> Result<(), KafkaProblem> {
        for letter in letters {
            self.publisher.send(letter).await?;
        }
        self.publisher.acknowledged().await
    }
}

/// The letter without the record's value, and without a key that is no usual one.
fn left_out(letter: Outgoing) -> Outgoing {
    let bytes = letter.payload.map_or(0, |payload| payload.len());
    let size = (header::LEFT_OUT_BYTES.to_owned(), bytes.to_string().into_bytes());
    let headers = letter.headers.into_iter().chain([size]).collect();
    let key = letter.key.filter(|key| key.len() <= KEY_BYTES_MAX);
    Outgoing { key, payload: None, headers, topic: letter.topic }
}

fn headers(origin: &str, record: &Incoming, reject: &Rejected) -> Vec<(String, Vec<u8>)> {
    [
        (header::CLASS, reject.class.to_string()),
        (header::MESSAGE, message(reject)),
        (header::TOPIC, origin.to_owned()),
        (header::PARTITION, record.partition.to_string()),
        (header::OFFSET, record.offset.to_string()),
        (header::REJECTED_AT, Version::now().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into_bytes()))
    .collect()
}

/// What is wrong, as far as it may be the record's own words, and what to do.
fn message(reject: &Rejected) -> String {
    let wrong: String = reject.message.chars().take(MESSAGE_CHARS_MAX).collect();
    format!("{wrong}; {}", reject.class.remedy())
}
