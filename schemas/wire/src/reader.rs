//! Reader threads: one thread owns one consumer and turns it into a bounded channel of events.
//!
//! A lane's events come in one order: a partition is assigned before its records, revoked after
//! them, and assigned anew after it was reset, so that stale records can be told from fresh ones.

use crate::{KafkaProblem, KafkaSettings};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use records::{Offset, Partition};
use std::sync::{Arc, mpsc as commands};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a poll waits: the most that a command waits for its turn.
const POLL: Duration = Duration::from_millis(50);
/// The most that a question to the broker may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Events between the thread and the lane.
const EVENTS: usize = 20_000;

/// What a reader thread tells its lane.
#[derive(Debug)]
pub enum Event {
    /// The partition is read from here on.
    Assigned {
        /// The partition.
        partition: Partition,
        /// Where it begins.
        start: PartitionStart,
    },
    /// The partition is another member's.
    Revoked {
        /// The partition.
        partition: Partition,
    },
    /// A record.
    Record(Incoming),
    /// Something failed; the client goes on trying.
    Problem(KafkaProblem),
}

/// A record as it was fetched.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Where to begin to read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionStart {
    /// At the oldest record that is kept.
    Beginning,
    /// At this record.
    At(Offset),
}

impl PartitionStart {
    /// The start for a position; zero is the beginning.
    #[must_use]
    pub const fn from_next(next: Offset) -> Self {
        if next.0 == 0 { Self::Beginning } else { Self::At(next) }
    }

    const fn offset(self) -> KafkaOffset {
        match self {
            Self::Beginning => KafkaOffset::Beginning,
            Self::At(offset) => KafkaOffset::Offset(offset.0),
        }
    }
}

/// Who knows where partitions begin; called on the reader thread, inside the rebalance callback.
pub trait Positions: Send + Sync {
    /// Becomes the owner and says where to begin. It may block, and must answer.
    fn take_over(&self, partitions: &[Partition]) -> Vec<(Partition, PartitionStart)>;

    /// The partitions belong to another member from now on.
    fn released(&self, partitions: &[Partition]);
}

/// How to join a consumer group.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// The group.
    pub group: String,
    /// The member's lasting name (static membership), such as the worker's slot.
    pub instance_id: Option<String>,
    /// The most kibibytes of fetched records that wait in the client.
    pub queue_kibibytes_max: usize,
}

enum Command {
    Assign(Vec<(Partition, PartitionStart)>),
    Unassign(Vec<Partition>),
    Reset(Vec<(Partition, PartitionStart)>),
    Commit(String, Vec<(Partition, Offset)>),
}

/// A running reader thread; dropping it stops it.
pub struct Reader {
    handle: ReaderHandle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Commands to a reader thread.
#[derive(Clone)]
pub struct ReaderHandle {
    commands: commands::Sender<Command>,
    consumer: Arc<BaseConsumer<Rebalancing>>,
    brokers: Arc<str>,
    topic: Arc<str>,
}

struct Rebalancing {
    events: mpsc::Sender<Event>,
    positions: Option<Arc<dyn Positions>>,
    brokers: Arc<str>,
}

impl ClientContext for Rebalancing {}

impl ConsumerContext for Rebalancing {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let numbers: Vec<Partition> =
            partitions.elements().iter().map(|e| Partition(e.partition())).collect();
        let answered = match (error, &self.positions) {
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, Some(positions)) => {
                let starts = positions.take_over(&numbers);
                for mut element in partitions.elements() {
                    let number = Partition(element.partition());
                    if let Some((_, start)) = starts.iter().find(|(p, _)| *p == number) {
                        // Refused only for offsets that librdkafka does not know.
                        let _ = element.set_offset(start.offset());
                    }
                }
                self.tell_assigned(&starts);
                consumer.incremental_assign(partitions)
            }
            (_, positions) => {
                if let Some(positions) = positions {
                    positions.released(&numbers);
                }
                let done = consumer.incremental_unassign(partitions);
                self.tell_revoked(&numbers);
                done
            }
        };
        if let Err(source) = answered {
            let action = "answering a rebalance".to_owned();
            let brokers = self.brokers.to_string();
            self.tell(Event::Problem(KafkaProblem::Operation { action, brokers, source }));
        }
    }
}

impl Rebalancing {
    /// A lane that has gone needs no events: the thread is about to stop.
    fn tell(&self, event: Event) {
        let _ = self.events.blocking_send(event);
    }

    fn tell_assigned(&self, starts: &[(Partition, PartitionStart)]) {
        for (partition, start) in starts {
            self.tell(Event::Assigned { partition: *partition, start: *start });
        }
    }

    fn tell_revoked(&self, partitions: &[Partition]) {
        for partition in partitions {
            self.tell(Event::Revoked { partition: *partition });
        }
    }
}

impl Reader {
    /// Joins a group for a topic: its partitions come and go with rebalances.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn of_group(
        settings: &KafkaSettings,
        topic: &str,
        options: &GroupOptions,
        positions: Arc<dyn Positions>,
    ) -> Result<(Self, mpsc::Receiver<Event>), KafkaProblem> {
        let mut config = consumer_config(settings, &options.group, options.queue_kibibytes_max);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        if let Some(instance) = &options.instance_id {
            config.set("group.instance.id", instance);
        }
        let (reader, events) = Self::start(settings, topic, &config, Some(positions))?;
        reader.handle.consumer.subscribe(&[topic]).map_err(KafkaProblem::Settings)?;
        Ok((reader, events))
    }

    /// Reads a topic's partitions as they are [assigned](ReaderHandle::assign) by hand.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn of_partitions(
        settings: &KafkaSettings,
        topic: &str,
        options: &GroupOptions,
    ) -> Result<(Self, mpsc::Receiver<Event>), KafkaProblem> {
        let config = consumer_config(settings, &options.group, options.queue_kibibytes_max);
        Self::start(settings, topic, &config, None)
    }

    /// Commands to it.
    #[must_use]
    pub fn handle(&self) -> ReaderHandle {
        self.handle.clone()
    }

    fn start(
        settings: &KafkaSettings,
        topic: &str,
        config: &ClientConfig,
        positions: Option<Arc<dyn Positions>>,
    ) -> Result<(Self, mpsc::Receiver<Event>), KafkaProblem> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (sender, inbox) = commands::channel();
        let brokers: Arc<str> = settings.bootstrap_servers.as_str().into();
        let context =
            Rebalancing { events: events.clone(), positions, brokers: Arc::clone(&brokers) };
        let consumer: BaseConsumer<Rebalancing> =
            config.create_with_context(context).map_err(KafkaProblem::Settings)?;
        let topic: Arc<str> = topic.into();
        let handle =
            ReaderHandle { commands: sender, consumer: Arc::new(consumer), brokers, topic };
        let stop = CancellationToken::new();
        let worker = Worker { handle: handle.clone(), inbox, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| KafkaProblem::Mismatch(format!("no thread: {error}")))?;
        Ok((Self { handle, stop, thread: Some(thread) }, receiver))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

impl ReaderHandle {
    /// Reads these partitions too, from there.
    pub fn assign(&self, starts: Vec<(Partition, PartitionStart)>) {
        self.command(Command::Assign(starts));
    }

    /// Reads these partitions no more.
    pub fn unassign(&self, partitions: Vec<Partition>) {
        self.command(Command::Unassign(partitions));
    }

    /// Reads partitions again from there; their next event is a new assignment.
    pub fn reset(&self, starts: Vec<(Partition, PartitionStart)>) {
        self.command(Command::Reset(starts));
    }

    /// Tells the group how far a topic has been applied: a courtesy for lag tools.
    pub fn commit(&self, topic: &str, next: Vec<(Partition, Offset)>) {
        self.command(Command::Commit(topic.to_owned(), next));
    }

    /// The offset that the partition's next record will get, asked of the broker now.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`] if it does not answer.
    pub async fn high_watermark(&self, partition: Partition) -> Result<Offset, KafkaProblem> {
        let handle = self.clone();
        tokio::task::spawn_blocking(move || {
            handle
                .consumer
                .fetch_watermarks(&handle.topic, partition.0, ANSWER)
                .map(|(_, end)| Offset(end))
                .map_err(|source| handle.operation("asking for the end", source))
        })
        .await
        .map_err(|_| KafkaProblem::Stopped)?
    }

    /// A command to a thread that has ended is moot.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    fn operation(&self, action: &str, source: rdkafka::error::KafkaError) -> KafkaProblem {
        let action = format!("{action} of {}", self.topic);
        KafkaProblem::Operation { action, brokers: self.brokers.to_string(), source }
    }

    fn list(&self, starts: &[(Partition, PartitionStart)]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (partition, start) in starts {
            // Refused only for offsets that librdkafka does not know.
            let _ = list.add_partition_offset(&self.topic, partition.0, start.offset());
        }
        list
    }
}

/// The thread's own state.
struct Worker {
    handle: ReaderHandle,
    inbox: commands::Receiver<Command>,
    stop: CancellationToken,
}

impl Worker {
    fn run(self) {
        let consumer = Arc::clone(&self.handle.consumer);
        while !self.stop.is_cancelled() {
            while let Ok(command) = self.inbox.try_recv() {
                self.obey(command);
            }
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => self.tell(Event::Record(incoming(&message))),
                Some(Err(source)) => {
                    self.tell(Event::Problem(self.handle.operation("reading", source)));
                }
            }
        }
        while let Ok(command) = self.inbox.try_recv() {
            self.obey(command);
        }
        // A static member says nothing when it closes: its slot comes back to it.
        consumer.unsubscribe();
        while consumer.poll(Duration::ZERO).is_some() {}
    }

    /// Sends an event; gives up when the reader is stopped or the lane has gone.
    fn tell(&self, event: Event) {
        let events = &self.handle.consumer.context().events;
        let mut event = event;
        while !self.stop.is_cancelled() {
            match events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(back)) => {
                    event = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    fn obey(&self, command: Command) {
        let consumer = &self.handle.consumer;
        let done = match command {
            Command::Assign(starts) => {
                self.tell_assigned(&starts);
                consumer.incremental_assign(&self.handle.list(&starts))
            }
            Command::Unassign(partitions) => {
                let starts: Vec<_> =
                    partitions.iter().map(|p| (*p, PartitionStart::Beginning)).collect();
                let done = consumer.incremental_unassign(&self.handle.list(&starts));
                partitions.into_iter().for_each(|p| self.tell(Event::Revoked { partition: p }));
                done
            }
            Command::Reset(starts) => {
                let list = self.handle.list(&starts);
                let done = consumer.seek_partitions(list, ANSWER).map(drop);
                if done.is_ok() {
                    self.tell_assigned(&starts);
                }
                done
            }
            Command::Commit(topic, next) => {
                let mut list = TopicPartitionList::with_capacity(next.len());
                for (partition, next) in next {
                    let offset = KafkaOffset::Offset(next.0);
                    let _ = list.add_partition_offset(&topic, partition.0, offset);
                }
                consumer.commit(&list, CommitMode::Async)
            }
        };
        if let Err(source) = done {
            self.tell(Event::Problem(self.handle.operation("managing the assignment", source)));
        }
    }

    fn tell_assigned(&self, starts: &[(Partition, PartitionStart)]) {
        for (partition, start) in starts {
            self.tell(Event::Assigned { partition: *partition, start: *start });
        }
    }
}

fn consumer_config(settings: &KafkaSettings, group: &str, kibibytes: usize) -> ClientConfig {
    let mut config = settings.client();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", "6000")
        .set("max.poll.interval.ms", "3600000")
        .set("queued.max.messages.kbytes", kibibytes.to_string())
        .set("fetch.wait.max.ms", "100");
    config
}

fn incoming(message: &BorrowedMessage<'_>) -> Incoming {
    Incoming {
        partition: Partition(message.partition()),
        offset: Offset(message.offset()),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
    }
}
