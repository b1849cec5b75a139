//! Reader threads: one thread owns one consumer and turns it into bounded channels of events.
//!
//! A partition's events come in one order: it is assigned before its records, revoked after them,
//! and assigned anew after it was reset, so that stale records can be told from fresh ones.

use crate::commits::Commits;
use crate::events::{Event, PartitionStart};
use crate::handle::{Command, ReaderHandle};
use crate::place::Place;
use crate::queues::{Polled, Queues, Round};
use crate::quiet::Outage;
use crate::rebalance::{Positions, Rebalancing};
use crate::sink::{EventSink, FULL_PAUSE};
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use records::{Offset, Partition};
use std::sync::{Arc, mpsc as commands};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long to wait for the client or a command without a look at both.
const POLL: Duration = Duration::from_millis(50);
/// The most that a seek may take.
const SEEK_MAX: Duration = Duration::from_secs(10);
/// The most that leaving the group may take: during a rebalance its end is waited for.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// How long the client gets to say goodbye once it has no partitions: it does not tell when it has.
const GOODBYE: Duration = Duration::from_millis(300);

/// How to join a consumer group.
#[derive(Clone)]
pub struct GroupOptions {
    /// The group.
    pub group: String,
    /// The member's lasting name (static membership), such as the worker's slot.
    pub instance_id: Option<String>,
    /// The most kibibytes of records that were handed over and have not been dropped; each channel
    /// has its share of them. In the client at most an eighth of it waits for each partition, and
    /// what the last fetch has brought, which is no more for all partitions together.
    pub queue_kibibytes_max: usize,
    /// Into how many channels the partitions are divided; at least one.
    pub channels: usize,
    /// Which records are handed over, by their keys; none: all.
    pub filter: Option<KeyFilter>,
}

/// Whether a record with this key is handed over; asked on the reader's thread. One without a key
/// never is.
pub type KeyFilter = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A running reader thread; dropping it stops it and waits for its end.
pub struct Reader {
    handle: ReaderHandle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
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
    ) -> Result<(Self, Vec<mpsc::Receiver<Event>>), KafkaProblem> {
        let mut config = consumer_config(settings, options);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        if let Some(instance) = &options.instance_id {
            config.set("group.instance.id", instance);
        }
        Self::start(&config, Place::new(settings, topic), (options, Some(positions)))
    }

    /// Reads a topic's partitions as they are [assigned](ReaderHandle::assign) by hand.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn of_partitions(
        settings: &KafkaSettings,
        topic: &str,
        options: &GroupOptions,
    ) -> Result<(Self, Vec<mpsc::Receiver<Event>>), KafkaProblem> {
        let config = consumer_config(settings, options);
        Self::start(&config, Place::new(settings, topic), (options, None))
    }

    /// Commands to it.
    #[must_use]
    pub fn handle(&self) -> ReaderHandle {
        self.handle.clone()
    }

    fn start(
        config: &ClientConfig,
        place: Place,
        (options, positions): (&GroupOptions, Option<Arc<dyn Positions>>),
    ) -> Result<(Self, Vec<mpsc::Receiver<Event>>), KafkaProblem> {
        let stop = CancellationToken::new();
        let channels = (options.channels, options.queue_kibibytes_max * 1024);
        let (events, receivers) = EventSink::new(channels, options.filter.clone(), stop.clone());
        let subscribes = positions.is_some();
        let (commands, inbox) = commands::channel();
        let queues = Queues::new(commands.clone());
        let commits = Commits::default();
        let context = Rebalancing { events, positions, place, queues, commits };
        let mut consumer: BaseConsumer<Rebalancing> =
            config.create_with_context(context).map_err(KafkaProblem::Settings)?;
        let look = commands.clone();
        // Refused only by a thread that has ended.
        consumer.set_nonempty_callback(move || drop(look.send(Command::Look)));
        let consumer = Arc::new(consumer);
        consumer.context().queues.belong_to(&consumer);
        if subscribes {
            consumer
                .subscribe(&[&consumer.context().place.topic])
                .map_err(KafkaProblem::Settings)?;
        }
        let handle = ReaderHandle { commands };
        let worker = Worker { consumer, inbox, stop: stop.clone(), outage: Outage::default() };
        let thread = std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| KafkaProblem::Thread(error.to_string()))?;
        Ok((Self { handle, stop, thread: Some(thread) }, receivers))
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

/// The thread's own state.
struct Worker {
    /// The thread owns it, so that it is closed there: closing blocks.
    consumer: Arc<BaseConsumer<Rebalancing>>,
    inbox: commands::Receiver<Command>,
    stop: CancellationToken,
    outage: Outage,
}

impl Worker {
    fn run(self) {
        while !self.stop.is_cancelled() {
            self.obey_all();
            if self.commits().are_due(Instant::now()) {
                self.send_commits();
            }
            if let Some(polled) = self.consumer.poll(Duration::ZERO) {
                self.tell(polled);
                continue;
            }
            let has_room = |partition| self.events().has_room(partition);
            match self.queues().round(has_room, |polled| self.tell(polled)) {
                Round::Moved => {}
                Round::Stuck => self.wait(FULL_PAUSE),
                Round::Idle => self.wait(POLL),
            }
        }
        // The last commits; they are sent when the partitions are given back.
        self.obey_all();
        self.leave();
    }

    fn wait(&self, max: Duration) {
        if let Ok(command) = self.inbox.recv_timeout(max) {
            self.obey(command);
        }
    }

    fn tell(&self, polled: Polled<'_>) {
        match polled {
            Ok(message) => self.events().tell_record(&message),
            Err(KafkaError::PartitionEOF(number)) => self.tell_at_end(Partition(number)),
            Err(source) if self.outage.is_old_news(&source) => {}
            Err(source) => self.tell_failure("reading", source),
        }
    }

    /// The client's position has passed what is no record, such as the marks of transactions.
    fn tell_at_end(&self, partition: Partition) {
        let list = self.consumer.position().ok();
        let found = list.as_ref().and_then(|list| {
            list.find_partition(&self.place().topic, partition.0).map(|found| found.offset())
        });
        if let Some(KafkaOffset::Offset(next)) = found {
            self.events().tell_at_end(partition, Offset(next));
        }
    }

    /// Leaves the group while the client is still open: a static member's close would not say so,
    /// and its partitions would rest until its session times out.
    fn leave(&self) {
        if self.consumer.context().positions.is_none() {
            return;
        }
        self.consumer.unsubscribe();
        let has_some = || self.consumer.assignment().is_ok_and(|owned| owned.count() > 0);
        self.poll_while(LEAVE_MAX, has_some);
        self.poll_while(GOODBYE, || true);
    }

    /// Records that still come are read again by the next owner.
    fn poll_while(&self, max: Duration, goes_on: impl Fn() -> bool) {
        let deadline = Instant::now() + max;
        while goes_on() && Instant::now() < deadline {
            let _ = self.consumer.poll(POLL);
        }
    }

    fn obey_all(&self) {
        while let Ok(command) = self.inbox.try_recv() {
            self.obey(command);
        }
    }

    fn obey(&self, command: Command) {
        match command {
            Command::Assign(starts) => self.assign(&starts),
            Command::Unassign(partitions) => self.unassign(&partitions),
            Command::Reset(starts) => self.reset(&starts),
            Command::Commit(topic, next) => {
                let is_ours = |(partition, _): &(_, _)| self.events().is_assigned(*partition);
                let are_ours = next.iter().all(is_ours);
                self.commits().keep(&topic, next, Instant::now());
                if !are_ours {
                    // The next owner may commit soon.
                    self.send_commits();
                }
            }
            Command::Look => {}
        }
    }

    fn send_commits(&self) {
        self.tell_if_failed("committing", self.commits().send(&self.consumer));
    }

    fn assign(&self, starts: &[(Partition, PartitionStart)]) {
        self.events().tell_assigned(starts);
        let list = self.place().list(starts.iter().map(|(p, start)| (*p, start.offset())));
        self.queues().open(&self.place().topic, starts.iter().map(|(partition, _)| *partition));
        self.tell_if_failed("assigning", self.consumer.incremental_assign(&list));
    }

    /// Those that are read: an owner that is stopping has taken no more up, and gives all back.
    fn unassign(&self, partitions: &[Partition]) {
        let is_assigned = |partition: &Partition| self.events().is_assigned(*partition);
        let read: Vec<Partition> = partitions.iter().copied().filter(is_assigned).collect();
        if read.is_empty() {
            return;
        }
        let list = self.place().list(read.iter().map(|p| (*p, KafkaOffset::Beginning)));
        self.tell_if_failed("unassigning", self.consumer.incremental_unassign(&list));
        self.queues().close(&read);
        self.events().tell_revoked(&read);
    }

    /// Each partition by itself; one that was revoked meanwhile is its next owner's.
    fn reset(&self, starts: &[(Partition, PartitionStart)]) {
        let is_assigned = |(partition, _): &&(_, _)| self.events().is_assigned(*partition);
        for (partition, start) in starts.iter().filter(is_assigned) {
            let list = self.place().list([(*partition, start.offset())]);
            match self.seek(&list).or_else(|_| self.begin_anew(*partition, &list)) {
                Ok(()) => self.events().tell_assigned(&[(*partition, *start)]),
                Err(source) => self.tell_failure("seeking in", source),
            }
        }
    }

    fn seek(&self, list: &TopicPartitionList) -> Result<(), KafkaError> {
        let sought = self.consumer.seek_partitions(list.clone(), SEEK_MAX)?;
        sought.elements().iter().try_for_each(|element| element.error())
    }

    /// The client does not seek in a partition of which it has given up the position.
    fn begin_anew(
        &self,
        partition: Partition,
        list: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        self.consumer.incremental_unassign(list)?;
        self.queues().open(&self.place().topic, [partition]);
        self.consumer.incremental_assign(list)
    }

    fn tell_if_failed(&self, action: &str, done: Result<(), KafkaError>) {
        if let Err(source) = done {
            self.tell_failure(action, source);
        }
    }

    fn tell_failure(&self, action: &str, source: KafkaError) {
        self.events().tell_problem(&self.place().failed(action, source));
    }

    fn events(&self) -> &EventSink {
        &self.consumer.context().events
    }

    fn commits(&self) -> &Commits {
        &self.consumer.context().commits
    }

    fn queues(&self) -> &Queues {
        &self.consumer.context().queues
    }

    fn place(&self) -> &Place {
        &self.consumer.context().place
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queues().close_all();
    }
}

fn consumer_config(settings: &KafkaSettings, options: &GroupOptions) -> ClientConfig {
    let mut config = settings.client();
    config
        .set("group.id", &options.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", "6000")
        // A member hears of a rebalance at its next heartbeat.
        .set("heartbeat.interval.ms", "1000")
        // The most. While PostgreSQL is away nothing is polled, and that is no reason to leave.
        .set("max.poll.interval.ms", "86400000")
        .set("enable.partition.eof", "true")
        // Of each partition, because each has a queue of its own. The client also makes it the
        // size of a fetch's answer, of all partitions together.
        .set("queued.max.messages.kbytes", (options.queue_kibibytes_max / 8).max(1).to_string())
        // Small records cost the client far more than their bytes.
        .set("queued.min.messages", "1000")
        .set("fetch.message.max.bytes", "262144")
        // A second by default, of a partition whose queue is full.
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "100");
    config
}
