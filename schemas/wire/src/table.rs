//! One key of a compacted topic: its newest value, then every later one.

use crate::events::LogRange;
use crate::place::Place;
use crate::problem::cause;
use crate::quiet::Quiet;
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use records::Offset;
use records::topics::partition_of;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a poll waits: the most that stopping waits.
const POLL: Duration = Duration::from_millis(100);
/// The most that a question to the broker may take.
const ANSWER: Duration = Duration::from_secs(15);

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
    /// Every value that came after the history.
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
        let LogRange { first, end } = open(&consumer, place, &key)
            .map_err(|failure| place.failed("reading", cause(&consumer, failure)))?;
        let (sender, values) = mpsc::channel(1024);
        let (told, newest) = oneshot::channel();
        let stop = CancellationToken::new();
        let worker = Worker { consumer, key, sender, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("kafka-table".to_owned())
            .spawn(move || worker.run(LogRange { first, end }, told))
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
fn open(consumer: &BaseConsumer<Quiet>, place: &Place, key: &[u8]) -> Result<LogRange, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(&place.topic), ANSWER)?;
    let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
    let partition = partition_of(key, u32::try_from(count).unwrap_or(u32::MAX));
    let (first, end) = consumer.fetch_watermarks(&place.topic, partition.0, ANSWER)?;
    consumer.assign(&place.list([(partition, KafkaOffset::Beginning)]))?;
    Ok(LogRange { first: Offset(first), end: Offset(end) })
}

/// The thread's own state.
struct Worker {
    consumer: BaseConsumer<Quiet>,
    key: Vec<u8>,
    sender: mpsc::Sender<TableValue>,
    stop: CancellationToken,
}

impl Worker {
    fn run(self, history: LogRange, told: oneshot::Sender<Option<TableValue>>) {
        let newest = self.read_history(history);
        // Refused by a table that has been dropped: then the loop below ends at once.
        let _ = told.send(newest);
        while !self.stop.is_cancelled() {
            if let Some(value) = self.poll().and_then(Result::ok).and_then(|m| self.value(&m)) {
                let _ = self.sender.blocking_send(value);
            }
        }
    }

    /// Reads to the end; what compaction or a transaction has left out there shows only as the
    /// partition's end.
    fn read_history(&self, history: LogRange) -> Option<TableValue> {
        let mut newest = None;
        let mut next = history.first;
        while next < history.end && !self.stop.is_cancelled() {
            match self.poll() {
                Some(Ok(message)) => {
                    next = Offset(message.offset()).next();
                    newest = self.value(&message).or(newest);
                }
                Some(Err(AtEnd)) => next = history.end,
                None => {}
            }
        }
        newest
    }

    /// A message, or the news that there are no more for now.
    fn poll(&self) -> Option<Result<BorrowedMessage<'_>, AtEnd>> {
        match self.consumer.poll(POLL)? {
            Ok(message) => Some(Ok(message)),
            Err(KafkaError::PartitionEOF(_)) => Some(Err(AtEnd)),
            Err(error) => {
                tracing::warn!("reading a table: {error}");
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
