//! A topic from some place to where it ended when it was asked: for people who look, so no group
//! and no position is touched, and no more than some records are in memory.

use crate::events::LogRange;
use crate::place::Place;
use crate::quiet::Quiet;
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use records::{Offset, Partition};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The most records that wait for the reader.
const RECORDS_MAX: usize = 256;
const POLL: Duration = Duration::from_millis(100);

/// A record with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Scanned {
    /// The text of a header; of repeated ones the last.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rfind(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Reads the records of some ranges of a topic; dropping it ends the reading.
pub struct Scan {
    records: mpsc::Receiver<Scanned>,
    reading: JoinHandle<Result<(), KafkaProblem>>,
}

impl Scan {
    /// Begins to read. Order is kept within each partition.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn start(
        settings: &KafkaSettings,
        topic: &str,
        ranges: Vec<(Partition, LogRange)>,
    ) -> Result<Self, KafkaProblem> {
        let (consumer, place) = (consumer(settings)?, Place::new(settings, topic));
        let (sender, records) = mpsc::channel(RECORDS_MAX);
        let read = move || {
            read(&consumer, &place, &ranges, &sender).map_err(|e| place.failed("reading", e))
        };
        Ok(Self { records, reading: tokio::task::spawn_blocking(read) })
    }

    /// The next record; none at the end of all ranges.
    ///
    /// # Errors
    /// [`KafkaProblem`] if the topic can't be read on.
    pub async fn next(&mut self) -> Result<Option<Scanned>, KafkaProblem> {
        if let Some(record) = self.records.recv().await {
            return Ok(Some(record));
        }
        let ended = (&mut self.reading).await;
        ended.unwrap_or(Err(KafkaProblem::Stopped)).map(|()| None)
    }
}

fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer<Quiet>, KafkaProblem> {
    settings
        .client()
        .set("group.id", "tributary-scan")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.wait.max.ms", "100")
        .create_with_context(Quiet)
        .map_err(KafkaProblem::Settings)
}

/// A partition has ended at its last offset, or at its end: the last may be no record.
fn read(
    consumer: &BaseConsumer<Quiet>,
    place: &Place,
    ranges: &[(Partition, LogRange)],
    sender: &mpsc::Sender<Scanned>,
) -> Result<(), KafkaError> {
    let ranges = ranges.iter().filter(|(_, range)| range.first < range.end);
    let mut ends: HashMap<Partition, Offset> = ranges.clone().map(|(p, r)| (*p, r.end)).collect();
    let starts = ranges.map(|(p, range)| (*p, KafkaOffset::Offset(range.first.0)));
    consumer.assign(&place.list(starts))?;
    while !ends.is_empty() && !sender.is_closed() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let record = scanned(&message);
                let end = ends.get(&record.partition).copied().unwrap_or(Offset(0));
                if record.offset.next() >= end {
                    ends.remove(&record.partition);
                }
                if record.offset < end && sender.blocking_send(record).is_err() {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ends.remove(&Partition(partition));
            }
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(())
}

fn scanned(message: &BorrowedMessage<'_>) -> Scanned {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Scanned {
        partition: Partition(message.partition()),
        offset: Offset(message.offset()),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect(),
    }
}
