//! One key of a compacted topic: its newest value, then every later one.

use crate::{KafkaProblem, KafkaSettings};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use records::Offset;
use records::topics::partition_of;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_millis(100);
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
    /// Every value since the beginning that compaction has kept, then later ones as they come.
    pub values: mpsc::Receiver<TableValue>,
    /// The partition's end when it was asked: values before it are history.
    pub end: Offset,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Table {
    /// Begins to read the partition of `key`. The history is complete when a value at or behind
    /// `end` comes, or [`Table::history`] has returned.
    ///
    /// # Errors
    /// [`KafkaProblem`] if the topic does not exist or can't be read.
    pub async fn follow(
        settings: &KafkaSettings,
        topic: &str,
        key: &str,
    ) -> Result<Self, KafkaProblem> {
        let consumer: BaseConsumer = settings
            .client()
            .set("group.id", "tributary-tables")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", "1024")
            .create()
            .map_err(KafkaProblem::Settings)?;
        let (topic, key) = (topic.to_owned(), key.to_owned());
        let failed = |source| KafkaProblem::Operation {
            action: format!("reading {topic}"),
            brokers: settings.bootstrap_servers.clone(),
            source,
        };
        let opened = {
            let (topic, key) = (topic.clone(), key.clone());
            tokio::task::spawn_blocking(move || open(consumer, &topic, key.as_bytes())).await
        };
        let (consumer, end) = opened.map_err(|_| KafkaProblem::Stopped)?.map_err(failed)?;
        let (sender, values) = mpsc::channel(1024);
        let stop = CancellationToken::new();
        let worker = Worker { consumer, key: key.into_bytes(), end, sender, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("kafka-table".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| KafkaProblem::Mismatch(format!("no thread: {error}")))?;
        Ok(Self { values, end, stop, thread: Some(thread) })
    }

    /// The newest value of the key as of the call to [`Table::follow`].
    ///
    /// # Errors
    /// [`KafkaProblem::Stopped`].
    pub async fn history(&mut self) -> Result<Option<TableValue>, KafkaProblem> {
        let mut newest = None;
        loop {
            let value = self.values.recv().await.ok_or(KafkaProblem::Stopped)?;
            // The thread marks the end of the history by a value of no record.
            if value.offset == self.end && value.payload.is_none() {
                return Ok(newest);
            }
            newest = Some(value);
        }
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

fn open(
    consumer: BaseConsumer,
    topic: &str,
    key: &[u8],
) -> Result<(BaseConsumer, Offset), KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let count = metadata.topics().iter().map(|t| t.partitions().len()).sum::<usize>();
    let partition = partition_of(key, u32::try_from(count).unwrap_or(1));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition.0, KafkaOffset::Beginning)?;
    consumer.assign(&list)?;
    let (_, end) = consumer.fetch_watermarks(topic, partition.0, ANSWER)?;
    Ok((consumer, Offset(end)))
}

struct Worker {
    consumer: BaseConsumer,
    key: Vec<u8>,
    end: Offset,
    sender: mpsc::Sender<TableValue>,
    stop: CancellationToken,
}

impl Worker {
    fn run(self) {
        let mut in_history = true;
        let mut next = Offset(0);
        while !self.stop.is_cancelled() {
            if in_history && (next >= self.end || self.reached_end()) {
                in_history = false;
                self.tell(TableValue { offset: self.end, payload: None });
            }
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let offset = Offset(message.offset());
                    next = offset.next();
                    if message.key() == Some(self.key.as_slice()) {
                        let payload = message.payload().map(<[u8]>::to_vec);
                        self.tell(TableValue { offset, payload });
                    }
                }
                Some(Err(error)) => tracing::warn!("reading a table: {error}"),
            }
        }
    }

    /// Whether the consumer stands at the end although compaction has removed what was there.
    fn reached_end(&self) -> bool {
        let Ok(position) = self.consumer.position() else { return false };
        position
            .elements()
            .iter()
            .any(|e| matches!(e.offset(), KafkaOffset::Offset(next) if next >= self.end.0))
    }

    /// Who has dropped the table needs no more values.
    fn tell(&self, value: TableValue) {
        let _ = self.sender.blocking_send(value);
    }
}
