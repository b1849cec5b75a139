//! Load that knows what must become of it: a random history on both lanes while something fails,
//! and the proof that each record counted once.

use crate::audit::{self, Transaction};
use crate::{LONG, Outcome, make_topics, persister};
use harness::{Program, World, wait_until};
use oracle::history::{History, Record, Shape};
use oracle::kinds::Kinds;
use oracle::random::Random;
use oracle::replay::Done;
use oracle::rows::{difference, difference_of_views};
use records::{Offset, Partition, Topic};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use wire::{
    Admin, Event, GroupOptions, Incoming, KafkaSettings, Outgoing, PartitionStart, Publisher,
    Reader,
};

/// How often there is a new moment, of some ten records.
const PACE: Duration = Duration::from_millis(5);

/// What the sources are called before their number.
const RUN: &str = "load";

/// Each load has its own types: the tests of a process share a registry.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Whether records of quiet sources go ahead of a lane that is far behind. Then rows are written in
/// an order that no position tells, and those of objects that are gone remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// None do: batches are so large that no lane is ever far behind by some of them.
    Told,
    /// They do all the time: batches are so small that each lane mostly is.
    Ahead,
}

impl Order {
    const fn batch_records(self) -> &'static str {
        match self {
            Self::Told => "1000000",
            Self::Ahead => "50",
        }
    }
}

/// The topics of its records.
const LANES: [Topic; 2] = [Topic::InventoryLive, Topic::InventorySnapshot];

/// A place in a log.
pub(crate) type Place = (String, Partition);

/// Sources that publish, and what they have published.
pub struct Load {
    /// Chooses what happens, also to the servers: the same seed, the same choices.
    pub random: Random,
    kinds: Kinds,
    history: History,
    publisher: Publisher,
    kafka: KafkaSettings,
    database_url: String,
    sent: HashMap<Vec<u8>, Record>,
    pace: Interval,
    order: Order,
}

/// What was proven.
#[derive(Debug)]
pub struct Proof {
    /// Records that were acknowledged, all of which counted once.
    pub records: usize,
    /// The transactions in which they counted.
    pub transactions: usize,
    /// Rows that are there, also of objects that are gone.
    pub rows: usize,
}

impl Load {
    /// Makes topics and types, and lets the database write down what is committed.
    ///
    /// # Errors
    /// What a server said.
    pub async fn start(world: &World, seed: u64) -> Outcome<Self> {
        Self::start_in(Order::Told, world, seed).await
    }

    /// The same, for persisters that write in such an order.
    ///
    /// # Errors
    /// What a server said.
    pub async fn start_in(order: Order, world: &World, seed: u64) -> Outcome<Self> {
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        make_topics(&kafka).await?;
        audit::install(world.database_url()).await?;
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Ok(Self {
            random: Random::new(seed),
            kinds: Kinds::register(world, NUMBER.fetch_add(1, Ordering::Relaxed)).await,
            history: History::new(Shape::wide(40)),
            publisher: Publisher::new(&kafka)?,
            kafka,
            database_url: world.database_url().to_owned(),
            sent: HashMap::new(),
            pace,
            order,
        })
    }

    /// Starts a persister for its records.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn persister(&self, world: &World, slot: &str) -> Outcome<Program> {
        let batch_records = self.order.batch_records();
        persister(world, slot, &[("TRIBUTARY_PERSISTER__BATCH_RECORDS", batch_records)])
    }

    /// Publishes so many moments.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn publish(&mut self, moments: usize) -> Outcome<()> {
        for _ in 0..moments {
            self.pace.tick().await;
            self.moment().await?;
        }
        Ok(())
    }

    /// Publishes until something has happened.
    ///
    /// # Errors
    /// Its error, or what Kafka said.
    pub async fn publish_during<T>(
        &mut self,
        happening: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let mut happening = pin!(happening);
        loop {
            tokio::select! {
                done = &mut happening => return done,
                _ = self.pace.tick() => self.moment().await?,
            }
        }
    }

    /// Publishes a random number of moments below `end`.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn publish_some(&mut self, end: usize) -> Outcome<()> {
        let moments = self.random.below(end);
        self.publish(moments).await
    }

    async fn moment(&mut self) -> Outcome<()> {
        let records = self.history.moment(&mut self.random);
        let is_change = !matches!(records.last(), Some(Record::Extent { .. }));
        let is_live = is_change || self.random.once_in(4);
        let topic = if is_live { Topic::InventoryLive } else { Topic::InventorySnapshot };
        for record in records {
            let payload = self.kinds.incoming(&record, RUN).payload.unwrap_or_default().to_vec();
            let outgoing = Outgoing {
                topic: self.kafka.topic(topic),
                key: Some(self.kinds.key(&record, RUN).into_bytes()),
                payload: Some(payload.clone()),
                headers: Vec::new(),
            };
            self.publisher.send(outgoing).await?;
            self.sent.insert(payload, record);
        }
        Ok(())
    }

    /// Waits until everything is applied, and proves that it counted once and that the rows are
    /// what they must be.
    ///
    /// # Errors
    /// What is not as it must be.
    pub async fn prove(&mut self) -> Outcome<Proof> {
        self.publisher.acknowledged().await?;
        let ends = ends(&self.kafka, &LANES).await?;
        let mut connection = PgConnection::connect(&self.database_url).await?;
        all_applied(&mut connection, &ends).await?;
        let log = self.log(&ends).await?;
        if log.len() != self.sent.len() {
            return Err(format!("{} of {} are on Kafka", log.len(), self.sent.len()).into());
        }
        let transactions = audit::read(&mut connection).await?;
        audit::check(&transactions, &ends)?;
        let committed = transactions.iter().map(|t| done(t, &log)).collect::<Outcome<Vec<_>>>()?;
        let truth = &self.history.truth;
        let difference = match self.order {
            Order::Told => {
                let run = (RUN, committed.as_slice());
                difference(&mut connection, &self.kinds, run, Some(truth)).await
            }
            Order::Ahead => difference_of_views(&mut connection, &self.kinds, RUN, truth).await,
        };
        if let Some(text) = difference {
            return Err(text.into());
        }
        nothing_was_rejected(&self.kafka, &mut connection).await?;
        let mut rows = 0;
        for kind in 0..oracle::kinds::KINDS {
            rows += count(&mut connection, self.kinds.name(kind).as_str()).await?;
        }
        Ok(Proof { records: log.len(), transactions: transactions.len(), rows })
    }

    /// What Kafka has, by its place.
    async fn log(&self, ends: &BTreeMap<Place, Offset>) -> Outcome<HashMap<(Place, i64), Record>> {
        let mut log = HashMap::new();
        for topic in LANES {
            let topic = self.kafka.topic(topic);
            let ends = ends.iter().filter(|((of, _), _)| *of == topic);
            let ends = ends.map(|((_, partition), end)| (*partition, *end)).collect();
            for record in read_all(&self.kafka, &topic, &ends).await? {
                let payload = record.payload.unwrap_or_default();
                let known = self.sent.get(&payload[..]).ok_or("a record that nobody has sent")?;
                log.insert(((topic.clone(), record.partition), record.offset.0), known.clone());
            }
        }
        Ok(log)
    }
}

/// What a transaction did. A delete whose type the persister had not met is an extent.
fn done(transaction: &Transaction, log: &HashMap<(Place, i64), Record>) -> Outcome<Done> {
    let mut records = Vec::new();
    for part in &transaction.parts {
        for offset in part.from.0..part.to.0 {
            let place = ((part.topic.clone(), part.partition), offset);
            records
                .push(log.get(&place).ok_or_else(|| format!("nothing is at {place:?}"))?.clone());
        }
    }
    Ok(match records[..] {
        [Record::Delete { object, version }] if transaction.is_extent => {
            Done::Nothing(object, version)
        }
        _ => Done::Records(records),
    })
}

/// Whether nothing became a dead letter or a gap.
pub(crate) async fn nothing_was_rejected(
    kafka: &KafkaSettings,
    connection: &mut PgConnection,
) -> Outcome<()> {
    let letters = ends(kafka, &[Topic::DeadLetters]).await?;
    let letters: i64 = letters.values().map(|end| end.0).sum();
    let gaps: i64 =
        sqlx::query_scalar("SELECT count(*) FROM tributary.gap").fetch_one(connection).await?;
    if letters + gaps > 0 {
        return Err(format!("{letters} dead letters, {gaps} gaps").into());
    }
    Ok(())
}

/// Where the logs of these topics end.
pub(crate) async fn ends(
    kafka: &KafkaSettings,
    topics: &[Topic],
) -> Outcome<BTreeMap<Place, Offset>> {
    let admin = Admin::new(kafka, "tests")?;
    let mut all = BTreeMap::new();
    for topic in topics {
        let topic = kafka.topic(*topic);
        let ends = admin.end_offsets(&topic).await?.into_iter();
        all.extend(ends.map(|(partition, end)| ((topic.clone(), partition), end)));
    }
    Ok(all)
}

/// Waits until positions have reached these ends. However long it takes, it goes on as long as they
/// move: a busy machine is no failure.
pub(crate) async fn all_applied(
    connection: &mut PgConnection,
    ends: &BTreeMap<Place, Offset>,
) -> Outcome<()> {
    let mut applied = BTreeMap::new();
    while let Some((place, end)) = ends.iter().find(|(at, end)| applied.get(*at) < Some(*end)) {
        let what = format!("more than {:?} of {end} of {place:?}", applied.get(place));
        applied = wait_until(&what, LONG, async || {
            let found = positions(connection).await.map_err(|error| error.to_string())?;
            if found == applied { Err("nothing moves".to_owned()) } else { Ok(found) }
        })
        .await?;
    }
    Ok(())
}

async fn positions(connection: &mut PgConnection) -> Result<BTreeMap<Place, Offset>, sqlx::Error> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT topic, partition, next_offset FROM tributary.position")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(topic, p, next)| ((topic, Partition(p)), Offset(next))).collect())
}

async fn count(connection: &mut PgConnection, table: &str) -> Outcome<usize> {
    let count = format!("SELECT count(*) FROM inventory_all.\"{table}\"");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(connection).await?;
    Ok(usize::try_from(count)?)
}

/// All records of a topic's partitions up to their ends.
async fn read_all(
    kafka: &KafkaSettings,
    topic: &str,
    ends: &BTreeMap<Partition, Offset>,
) -> Outcome<Vec<Incoming>> {
    let options = GroupOptions {
        group: "tests".to_owned(),
        instance_id: None,
        queue_kibibytes_max: 262_144,
        channels: 1,
        filter: None,
    };
    let (reader, mut channels) = Reader::of_partitions(kafka, topic, &options)?;
    reader.handle().assign(ends.keys().map(|p| (*p, PartitionStart::Beginning)).collect());
    let wanted: i64 = ends.values().map(|end| end.0).sum();
    let mut records = Vec::new();
    while records.len() < usize::try_from(wanted)? {
        match channels[0].recv().await.ok_or("the reader has ended")? {
            Event::Record(record) => records.push(record),
            Event::Problem(problem) => return Err(problem.into()),
            Event::Assigned { .. } | Event::Revoked { .. } | Event::AtEnd { .. } => {}
        }
    }
    Ok(records)
}
