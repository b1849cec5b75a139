//! One key of a compacted topic: its newest value, then every later one.

use crate::events::LogRange;
use crate::place::Place;
use crate::problem::cause;
use crate::quiet::{Outage, Quiet};
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use records::topics::partition_of;
use records::{Offset, Partition};
use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a poll waits: the most that stopping waits.
const POLL: Duration = Duration::from_millis(100);
/// The most that a question to the broker may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How often the log is compared with what was read of it, and the most that the question may take:
/// to the client another log of the same name looks like one without news.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);

/// A value of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableValue {
    /// Where it is: the order of values that came at the same time.
    pub offset: Offset,
    /// The value; `None`: deleted.
    pub payload: Option<Vec<u8>>,
}

/// Follows one key; dropping it stops its thread.
pub struct Table {
    /// Every value that came after the history; ends if the log turns out to be another one than
    /// was followed, of another cluster or of a topic that was made anew.
    pub values: mpsc::Receiver<TableValue>,
    /// The partition's end when it was asked: what is before it is the history.
    pub end: Offset,
    newest: Option<oneshot::Receiver<Option<TableValue>>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Table {
    /// Begins to read the partition of `key`.
    ///
    /// # Errors
    /// [`KafkaProblem`] if the topic does not exist or can't be read.
    pub async fn follow(
        settings: &KafkaSettings,
        topic: &str,
        key: &str,
    ) -> Result<Self, KafkaProblem> {
        let (settings, place) = (settings.clone(), Place::new(settings, topic));
        let key = key.as_bytes().to_vec();
        let opened = tokio::task::spawn_blocking(move || Self::start(&settings, &place, key)).await;
        opened.map_err(|_| KafkaProblem::Stopped)?
    }

    /// The newest value of the key as of the call to [`Table::follow`]; waits until it is known,
    /// and can be asked once.
    ///
    /// # Errors
    /// [`KafkaProblem::Stopped`].
    pub async fn history(&mut self) -> Result<Option<TableValue>, KafkaProblem> {
        let newest = self.newest.take().ok_or(KafkaProblem::Stopped)?;
        newest.await.map_err(|_| KafkaProblem::Stopped)
    }

    fn start(settings: &KafkaSettings, place: &Place, key: Vec<u8>) -> Result<Self, KafkaProblem> {
        let consumer = consumer(settings)?;
        let failed = |failure| place.failed("reading", cause(&consumer, failure));
        let (partition, history) = open(&consumer, place, &key).map_err(failed)?;
        let end = history.end;
        let (sender, values) = mpsc::channel(1024);
        let (told, newest) = oneshot::channel();
        let stop = CancellationToken::new();
        let log = Log {
            topic: Arc::clone(&place.topic),
            partition,
            cluster_id: consumer.client().fetch_cluster_id(ANSWER),
            next: Cell::new(history.first),
            looked_at: Cell::new(Instant::now()),
        };
        let worker =
            Worker { consumer, log, outage: Outage::default(), key, sender, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("kafka-table".to_owned())
            .spawn(move || worker.run(end, told))
            .map_err(|error| KafkaProblem::Thread(error.to_string()))?;
        Ok(Self { values, end, newest: Some(newest), stop, thread: Some(thread) })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.stop.cancel();
        self.values.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer<Quiet>, KafkaProblem> {
    settings
        .client()
        .set("group.id", "tributary-tables")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.wait.max.ms", "100")
        .create_with_context(Quiet)
        .map_err(KafkaProblem::Settings)
}

/// Assigns the key's partition, from its beginning.
fn open(
    consumer: &BaseConsumer<Quiet>,
    place: &Place,
    key: &[u8],
) -> Result<(Partition, LogRange), KafkaError> {
    let metadata = consumer.fetch_metadata(Some(&place.topic), ANSWER)?;
    let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
    let partition = partition_of(key, u32::try_from(count).unwrap_or(u32::MAX));
    let (first, end) = consumer.fetch_watermarks(&place.topic, partition.0, ANSWER)?;
    consumer.assign(&place.list([(partition, KafkaOffset::Beginning)]))?;
    Ok((partition, LogRange { first: Offset(first), end: Offset(end) }))
}

/// What is followed, and how far it was read.
struct Log {
    topic: Arc<str>,
    partition: Partition,
    cluster_id: Option<String>,
    next: Cell<Offset>,
    looked_at: Cell<Instant>,
}

/// The thread's own state.
struct Worker {
    consumer: BaseConsumer<Quiet>,
    log: Log,
    outage: Outage,
    key: Vec<u8>,
    sender: mpsc::Sender<TableValue>,
    stop: CancellationToken,
}

impl Worker {
    fn run(self, history: Offset, told: oneshot::Sender<Option<TableValue>>) {
        let newest = self.read_history(history);
        // Refused by a table that has been dropped: then the loop below ends at once.
        let _ = told.send(newest);
        while !self.stop.is_cancelled() {
            if let Some(value) = self.poll().and_then(Result::ok).and_then(|m| self.value(&m)) {
                let _ = self.sender.blocking_send(value);
            }
            if self.is_another_log() {
                tracing::warn!(topic = &*self.log.topic, "the topic has another log than before");
                return;
            }
        }
    }

    /// Whether Kafka has another log now, as far as it answers.
    fn is_another_log(&self) -> bool {
        let log = &self.log;
        if log.looked_at.get().elapsed() < LOOK_EVERY {
            return false;
        }
        log.looked_at.set(Instant::now());
        let Ok((_, end)) = self.consumer.fetch_watermarks(&log.topic, log.partition.0, LOOK) else {
            return false;
        };
        let cluster_id = self.consumer.client().fetch_cluster_id(LOOK);
        let is_other = cluster_id.zip(log.cluster_id.as_ref()).is_some_and(|(id, of)| id != *of);
        is_other || Offset(end) < log.next.get()
    }

    /// Reads to the end; what compaction or a transaction has left out there shows only as the
    /// partition's end.
    fn read_history(&self, end: Offset) -> Option<TableValue> {
        let mut newest = None;
        while self.log.next.get() < end && !self.stop.is_cancelled() {
            match self.poll() {
                Some(Ok(message)) => newest = self.value(&message).or(newest),
                Some(Err(AtEnd)) => return newest,
                None => {}
            }
        }
        newest
    }

    /// A message, or the news that there are no more for now.
    fn poll(&self) -> Option<Result<BorrowedMessage<'_>, AtEnd>> {
        match self.consumer.poll(POLL)? {
            Ok(message) => {
                self.log.next.set(Offset(message.offset()).next());
                Some(Ok(message))
            }
            Err(KafkaError::PartitionEOF(_)) => Some(Err(AtEnd)),
            Err(error) => {
                if !self.outage.is_old_news(&error) {
                    tracing::warn!(topic = &*self.log.topic, "reading a table: {error}");
                }
                None
            }
        }
    }

    fn value(&self, message: &BorrowedMessage<'_>) -> Option<TableValue> {
        (message.key() == Some(self.key.as_slice())).then(|| TableValue {
            offset: Offset(message.offset()),
            payload: message.payload().map(<[u8]>::to_vec),
        })
    }
}

/// The partition has no more records for now.
struct AtEnd;
