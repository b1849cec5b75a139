//! Topics and positions as an administrator sees them.

use crate::commits::MARK;
use crate::events::LogRange;
use crate::problem::cause;
use crate::quiet::Quiet;
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use records::{Offset, Partition};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ANSWER: Duration = Duration::from_secs(15);
/// How often the partitions of a topic that was just made are asked for.
const TOLD_TRIES: u32 = 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A topic that should exist.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its full name.
    pub name: String,
    /// How many partitions it has, for ever.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication: i32,
    /// Its settings.
    pub config: Vec<(&'static str, String)>,
}

/// What was done for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicOutcome {
    /// It has been made.
    Created,
    /// It was there.
    Exists,
}

/// Asks and tells Kafka about topics; clones share a connection.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<Quiet>>,
    consumer: Arc<BaseConsumer<Quiet>>,
    brokers: Arc<str>,
}

impl Admin {
    /// Connects in the background; `group` is the one whose positions are asked for.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`].
    pub fn new(settings: &KafkaSettings, group: &str) -> Result<Self, KafkaProblem> {
        let mut config = settings.client();
        let client = config.create_with_context(Quiet).map_err(KafkaProblem::Settings)?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        let consumer = config.create_with_context(Quiet).map_err(KafkaProblem::Settings)?;
        Ok(Self {
            client: Arc::new(client),
            consumer: Arc::new(consumer),
            brokers: settings.bootstrap_servers.as_str().into(),
        })
    }

    /// Makes a topic if there is none.
    ///
    /// # Errors
    /// [`KafkaProblem::Mismatch`] if it has another number of partitions.
    pub async fn ensure_topic(&self, spec: &TopicSpec) -> Result<TopicOutcome, KafkaProblem> {
        let mut topic =
            NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
        for (key, value) in &spec.config {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let action = || format!("creating topic {}", spec.name);
        let results = self.client.create_topics([&topic], &options).await;
        match results.map_err(|e| self.failed(action(), e))?.into_iter().next() {
            None | Some(Ok(_)) => Ok(TopicOutcome::Created),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => self.check_topic(spec).await,
            Some(Err((_, code))) => Err(self.failed(action(), KafkaError::AdminOp(code))),
        }
    }

    async fn check_topic(&self, spec: &TopicSpec) -> Result<TopicOutcome, KafkaProblem> {
        let found = self.known_partitions(&spec.name).await?;
        if usize::try_from(spec.partitions).is_ok_and(|wanted| wanted == found) {
            return Ok(TopicOutcome::Exists);
        }
        Err(KafkaProblem::Mismatch(format!(
            "topic {} has {found} partitions, not {}: their number can't change, because keys \
             would move; set topics.partitions to {found}, or use a new TRIBUTARY_TOPIC_PREFIX and \
             refresh all sources",
            spec.name, spec.partitions
        )))
    }

    /// How many partitions a topic has that is known to exist: what has just been made may not be
    /// told of yet.
    async fn known_partitions(&self, topic: &str) -> Result<usize, KafkaProblem> {
        for _ in 0..TOLD_TRIES {
            let found = self.partitions(topic).await?.len();
            if found > 0 {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(0)
    }

    /// How many brokers there are.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn brokers(&self) -> Result<usize, KafkaProblem> {
        let question = |consumer: &BaseConsumer<Quiet>, _: &str| {
            Ok(consumer.fetch_metadata(None, ANSWER)?.brokers().len())
        };
        self.ask("asking for the brokers".to_owned(), "", question).await
    }

    /// The partitions of a topic; none if there is no such topic.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn partitions(&self, topic: &str) -> Result<Vec<Partition>, KafkaProblem> {
        self.ask(format!("describing topic {topic}"), topic, |consumer, topic| {
            let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
            let codes = metadata.topics().iter().filter_map(|topic| topic.error());
            let mut codes = codes.map(RDKafkaErrorCode::from);
            if let Some(code) = codes.find(|c| *c != RDKafkaErrorCode::UnknownTopicOrPartition) {
                return Err(KafkaError::MetadataFetch(code));
            }
            let found = metadata.topics().iter().flat_map(|t| t.partitions());
            Ok(found.map(|partition| Partition(partition.id())).collect())
        })
        .await
    }

    /// The cluster's own id: another one means that positions and leases are of another Kafka.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`] if no broker answers.
    pub async fn cluster_id(&self) -> Result<String, KafkaProblem> {
        self.ask("asking for the cluster's id".to_owned(), "", |consumer, _| {
            let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::AllBrokersDown);
            consumer.client().fetch_cluster_id(ANSWER).ok_or(unknown)
        })
        .await
    }

    /// Where each partition of a topic ends.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn end_offsets(&self, topic: &str) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        let partitions = self.partitions(topic).await?;
        self.ends(topic, partitions).await
    }

    /// Where some partitions of a topic end, by one request for each broker: this client fetches
    /// nothing, so its questions never wait behind a fetch.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn ends(
        &self,
        topic: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        self.ask(format!("asking for the ends of {topic}"), topic, move |consumer, topic| {
            edges(consumer, topic, &partitions, KafkaOffset::End)
        })
        .await
    }

    /// What each partition of a topic holds.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn ranges(&self, topic: &str) -> Result<Vec<(Partition, LogRange)>, KafkaProblem> {
        let partitions = self.partitions(topic).await?;
        self.ranges_of(topic, partitions).await
    }

    /// What some partitions of a topic hold.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn ranges_of(
        &self,
        topic: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<(Partition, LogRange)>, KafkaProblem> {
        self.ask(format!("asking what {topic} holds"), topic, move |consumer, topic| {
            let firsts = edges(consumer, topic, &partitions, KafkaOffset::Beginning)?;
            let ends: HashMap<_, _> =
                edges(consumer, topic, &partitions, KafkaOffset::End)?.into_iter().collect();
            let range = |(p, first)| Some((p, LogRange { first, end: *ends.get(&p)? }));
            Ok(firsts.into_iter().filter_map(range).collect())
        })
        .await
    }

    /// The first record at or after a time (milliseconds since the epoch) of each partition of a
    /// topic; partitions without one are left out.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn offsets_at(
        &self,
        topic: &str,
        time_ms: i64,
    ) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        let partitions = self.partitions(topic).await?;
        self.ask(format!("looking for a time in {topic}"), topic, move |consumer, topic| {
            let mut list = TopicPartitionList::new();
            for partition in &partitions {
                list.add_partition_offset(topic, partition.0, KafkaOffset::Offset(time_ms))?;
            }
            offsets(&consumer.offsets_for_times(list, ANSWER)?)
        })
        .await
    }

    /// How far the group has committed a topic; partitions without a commit are left out.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn committed(&self, topic: &str) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        self.committed_by(topic, |_| true).await
    }

    /// The same of those partitions of which somebody else has committed the offset than a
    /// [reader](crate::ReaderHandle::commit): a person with a tool.
    ///
    /// # Errors
    /// [`KafkaProblem::Operation`].
    pub async fn committed_by_others(
        &self,
        topic: &str,
    ) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        self.committed_by(topic, |mark| mark != MARK).await
    }

    async fn committed_by(
        &self,
        topic: &str,
        is_wanted: fn(&str) -> bool,
    ) -> Result<Vec<(Partition, Offset)>, KafkaProblem> {
        let partitions = self.partitions(topic).await?;
        self.ask(format!("asking for the positions in {topic}"), topic, move |consumer, topic| {
            let mut list = TopicPartitionList::new();
            for partition in &partitions {
                list.add_partition(topic, partition.0);
            }
            let committed = consumer.committed_offsets(list, ANSWER)?;
            let elements = answered(&committed)?;
            let wanted = elements.iter().filter(|element| is_wanted(element.metadata()));
            Ok(wanted.filter_map(offset).collect())
        })
        .await
    }

    /// Runs one of the client's blocking questions beside the tasks; anew as long as the client and
    /// the brokers do not agree yet on who leads a partition, and since when.
    async fn ask<T: Send + 'static>(
        &self,
        action: String,
        topic: &str,
        question: impl Fn(&BaseConsumer<Quiet>, &str) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaProblem> {
        let consumer = Arc::clone(&self.consumer);
        let topic = topic.to_owned();
        let answer = move || {
            let deadline = Instant::now() + ANSWER;
            loop {
                match question(&consumer, &topic) {
                    Err(failure) if is_of_election(&failure) && Instant::now() < deadline => {
                        std::thread::sleep(PAUSE);
                        consumer.fetch_metadata(Some(&topic), ANSWER)?;
                    }
                    answer => return answer.map_err(|failure| cause(&consumer, failure)),
                }
            }
        };
        tokio::task::spawn_blocking(answer)
            .await
            .map_err(|_| KafkaProblem::Stopped)?
            .map_err(|source| self.failed(action, source))
    }

    fn failed(&self, action: String, source: KafkaError) -> KafkaProblem {
        KafkaProblem::of(action, &self.brokers, source)
    }
}

/// Whether it passes when a partition's new leader is known to all, and knows where its log ends.
/// Kafka's own clients ask again, too.
fn is_of_election(failure: &KafkaError) -> bool {
    matches!(
        failure.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
        )
    )
}

/// Where partitions begin or end: the protocol's `ListOffsets` takes -2 and -1 as times for that,
/// which are the numbers of [`KafkaOffset::Beginning`] and [`KafkaOffset::End`], too.
fn edges(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    partitions: &[Partition],
    edge: KafkaOffset,
) -> Result<Vec<(Partition, Offset)>, KafkaError> {
    if partitions.is_empty() {
        // The client refuses a question about nothing.
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.0, edge)?;
    }
    offsets(&consumer.offsets_for_times(list, ANSWER)?)
}

/// The partitions that have an offset.
///
/// # Errors
/// A partition's.
fn offsets(list: &TopicPartitionList) -> Result<Vec<(Partition, Offset)>, KafkaError> {
    Ok(answered(list)?.iter().filter_map(offset).collect())
}

/// An answer about all: a partition that is left out would look like one that has nothing.
fn answered(list: &TopicPartitionList) -> Result<Vec<TopicPartitionListElem<'_>>, KafkaError> {
    let elements = list.elements();
    elements.iter().try_for_each(TopicPartitionListElem::error)?;
    Ok(elements)
}

fn offset(element: &TopicPartitionListElem<'_>) -> Option<(Partition, Offset)> {
    match element.offset() {
        KafkaOffset::Offset(next) => Some((Partition(element.partition()), Offset(next))),
        _ => None,
    }
}
