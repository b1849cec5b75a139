//! Single records by their offsets: whether a log is the one that was read before.

use crate::place::Place;
use crate::quiet::Quiet;
use crate::room::Room;
use crate::{Incoming, KafkaProblem, KafkaSettings};
use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use records::{Offset, Partition};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most that all records together may take.
const ANSWER: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// The records that have these offsets; what is not there (any more) is left out.
///
/// # Errors
/// [`KafkaProblem`] if the topic can't be read.
pub async fn peek(
    settings: &KafkaSettings,
    topic: &str,
    offsets: HashMap<Partition, Offset>,
) -> Result<Vec<Incoming>, KafkaProblem> {
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let (settings, place) = (settings.clone(), Place::new(settings, topic));
    let read = move || {
        let consumer = consumer(&settings)?;
        read(&consumer, &place, offsets).map_err(|source| place.failed("reading", source))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| KafkaProblem::Stopped)?
}

fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer<Quiet>, KafkaProblem> {
    settings
        .client()
        .set("group.id", "tributary-peek")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "latest")
        .set("isolation.level", "read_uncommitted")
        // One record of each partition is wanted: larger fetches would fill the queue, and those
        // that have answered would keep the others waiting.
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.message.max.bytes", "4096")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "100")
        .create_with_context(Quiet)
        .map_err(KafkaProblem::Settings)
}

/// Reads on each partition until something comes: the record, a later one, or the end.
fn read(
    consumer: &BaseConsumer<Quiet>,
    place: &Place,
    mut awaited: HashMap<Partition, Offset>,
) -> Result<Vec<Incoming>, KafkaError> {
    let starts = awaited.iter().map(|(p, offset)| (*p, KafkaOffset::Offset(offset.0)));
    consumer.incremental_assign(&place.list(starts))?;
    let deadline = Instant::now() + ANSWER;
    let (mut found, room) = (Vec::new(), Room::new(usize::MAX));
    while !awaited.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let record = Incoming::copy(&message, &room);
                let wanted = awaited.remove(&record.partition);
                if wanted.is_some() {
                    let answered = [(record.partition, KafkaOffset::Beginning)];
                    consumer.incremental_unassign(&place.list(answered))?;
                }
                if wanted == Some(record.offset) {
                    found.push(record);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                awaited.remove(&Partition(partition));
            }
            Some(Err(error)) => return Err(error),
            None if Instant::now() > deadline => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            None => {}
        }
    }
    Ok(found)
}
