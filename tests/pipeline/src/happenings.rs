//! Events and samples that know what must become of them: a load while something fails, and the
//! proof that each counted once, whatever was sent twice.

use crate::audit;
use crate::load::{all_applied, ends, nothing_was_rejected};
use crate::{LONG, Outcome, make_topics};
use harness::{World, wait_until};
use oracle::random::Random;
use records::contract::ContractRecord;
use records::history::{Event, Object, Samples, Series, Severity};
use records::{Topic, Version};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use wire::{KafkaSettings, Outgoing, Publisher, Registry, RegistrySettings, SchemaId, frame};

/// How often there are three events and a poll.
const PACE: Duration = Duration::from_millis(5);
const OBJECTS: usize = 8;
/// Some minutes, so that each object has a storm in each of them.
const MINUTES: usize = 3;
const STEP: Duration = Duration::from_secs(20);
/// A poll repeats the last sample of the one before.
const VALUES: usize = 6;
const COUNTERS: [&str; 2] = ["cpu", "memory"];
const MINUTE_MICROS: i64 = 60_000_000;

/// What was sent, as the tables must have it: each event once, kept or counted.
const EVENTS: &str = "SELECT event_id FROM events.event_all \
     UNION ALL SELECT event_id FROM events.storm_member ORDER BY 1";

/// And how many of an object each minute had.
const MINUTES_OF_OBJECTS: &str = "SELECT subject_id, \
     (extract(epoch FROM date_trunc('minute', occurred_at)) * 1000000)::bigint, \
     sum(count)::bigint FROM events.event GROUP BY 1, 2 ORDER BY 1, 2";

/// Each sample once, and none of no series.
const SAMPLES: &str = "SELECT coalesce(native_id, ''), coalesce(name, ''), \
     (extract(epoch FROM at) * 1000000)::bigint, value FROM metrics.sample \
     LEFT JOIN metrics.series ON id = series ORDER BY 1, 2, 3";

/// A source of events and samples, and what it has sent.
pub struct Happenings {
    /// Chooses what happens, also to the servers: the same seed, the same choices.
    pub random: Random,
    publisher: Publisher,
    kafka: KafkaSettings,
    database_url: String,
    schemas: [SchemaId; 2],
    start: Version,
    events: Vec<Event>,
    polls: Vec<Samples>,
    /// How many polls of each object were sent.
    polled: [u32; OBJECTS],
    pace: Interval,
}

impl Happenings {
    /// Makes topics and registers schemas, and lets the database write down what is committed.
    ///
    /// # Errors
    /// What a server said.
    pub async fn start(world: &World, seed: u64) -> Outcome<Self> {
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        make_topics(&kafka).await?;
        audit::install(world.database_url()).await?;
        let registry = Registry::new(&RegistrySettings::plain(&world.parts().registry.url()))?;
        let schemas = [
            registry.register(Event::SUBJECT, Event::json()).await?,
            registry.register(Samples::SUBJECT, Samples::json()).await?,
        ];
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let two_days_ago = Version::now().minus(Duration::from_hours(48)).micros();
        Ok(Self {
            random: Random::new(seed),
            publisher: Publisher::new(&kafka)?,
            kafka,
            database_url: world.database_url().to_owned(),
            schemas,
            start: Version::from_micros(two_days_ago - two_days_ago % MINUTE_MICROS),
            events: Vec::new(),
            polls: Vec::new(),
            polled: [0; OBJECTS],
            pace,
        })
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

    /// One in five is sent again.
    async fn moment(&mut self) -> Outcome<()> {
        for _ in 0..3 {
            let event = if self.random.once_in(5) && !self.events.is_empty() {
                self.random.choose(&self.events).clone()
            } else {
                let event = self.event();
                self.events.push(event.clone());
                event
            };
            let key = event.subject.as_ref().map(|object| object.native_id.as_str());
            self.send(Topic::Events, (self.schemas[0], key), event.encode()).await?;
        }
        let poll = if self.random.once_in(5) && !self.polls.is_empty() {
            self.random.choose(&self.polls).clone()
        } else {
            let poll = self.poll();
            self.polls.push(poll.clone());
            poll
        };
        let key = Some(poll.native_id.as_str());
        self.send(Topic::Metrics, (self.schemas[1], key), poll.encode()).await
    }

    fn event(&mut self) -> Event {
        let number = self.events.len();
        let minute = self.random.below(MINUTES) as u64;
        let moment = self.start.plus(Duration::from_secs(60 * minute));
        Event {
            source: "load".to_owned(),
            event_id: format!("{number:06}"),
            event_type: "Moved".to_owned(),
            occurred_at: moment.plus(Duration::from_micros(number as u64)).micros(),
            severity: Severity::Info,
            subject: Some(Object {
                entity_type: "thing".to_owned(),
                native_id: object(self.random.below(OBJECTS)),
            }),
            related: Vec::new(),
            message: format!("event {number}"),
            details: [].into(),
        }
    }

    fn poll(&mut self) -> Samples {
        let number = self.random.below(OBJECTS);
        let first = self.polled[number] * (VALUES as u32 - 1);
        self.polled[number] += 1;
        let values = |counter: usize| {
            (first..).take(VALUES).map(|index| Some(f64::from(index) + counter as f64)).collect()
        };
        let series = COUNTERS.iter().enumerate().map(|(counter, name)| Series {
            name: (*name).to_owned(),
            unit: "percent".to_owned(),
            values: values(counter),
        });
        Samples {
            source: "load".to_owned(),
            entity_type: "thing".to_owned(),
            native_id: object(number),
            version: Version::now().micros(),
            start: self.start.plus(STEP * first).micros(),
            step_ms: 20_000,
            series: series.collect(),
        }
    }

    async fn send(
        &self,
        topic: Topic,
        (schema, key): (SchemaId, Option<&str>),
        avro: Vec<u8>,
    ) -> Outcome<()> {
        let outgoing = Outgoing {
            topic: self.kafka.topic(topic),
            key: key.map(|id| format!("load/thing/{id}").into_bytes()),
            payload: Some(frame(schema, &avro)),
            headers: Vec::new(),
        };
        Ok(self.publisher.send(outgoing).await?)
    }

    /// Waits until everything is applied, and proves that it counted once; gives the number of
    /// events and of samples.
    ///
    /// # Errors
    /// What is not as it must be.
    pub async fn prove(&mut self) -> Outcome<[usize; 2]> {
        self.publisher.acknowledged().await?;
        let ends = ends(&self.kafka, &[Topic::Events, Topic::Metrics]).await?;
        let mut database = PgConnection::connect(&self.database_url).await?;
        all_applied(&mut database, &ends).await?;
        audit::check(&audit::read(&mut database).await?, &ends)?;
        nothing_was_rejected(&self.kafka, &mut database).await?;
        let ids: Vec<String> = sqlx::query_scalar(EVENTS).fetch_all(&mut database).await?;
        same(&ids, &self.events.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>())?;
        let minutes = sqlx::query_as(MINUTES_OF_OBJECTS).fetch_all(&mut database).await?;
        same::<(String, i64, i64)>(&minutes, &self.minutes())?;
        let samples = sqlx::query_as(SAMPLES).fetch_all(&mut database).await?;
        same::<(String, String, i64, f64)>(&samples, &self.samples())?;
        for (table, unit) in [("rollup_hour", "hour"), ("rollup_day", "day")] {
            all_rolled_up(&mut database, table, unit).await?;
        }
        Ok([ids.len(), samples.len()])
    }

    fn minutes(&self) -> Vec<(String, i64, i64)> {
        let mut minutes = BTreeMap::new();
        for event in &self.events {
            let object = event.subject.iter().map(|object| object.native_id.clone()).collect();
            let minute = event.occurred_at - event.occurred_at % MINUTE_MICROS;
            *minutes.entry((object, minute)).or_default() += 1;
        }
        minutes.into_iter().map(|((object, minute), count)| (object, minute, count)).collect()
    }

    fn samples(&self) -> Vec<(String, String, i64, f64)> {
        let mut samples = BTreeMap::new();
        for poll in &self.polls {
            for series in &poll.series {
                for (value, number) in series.values.iter().flatten().zip(0..) {
                    let at = poll.start + number * i64::from(poll.step_ms) * 1000;
                    samples.insert((poll.native_id.clone(), series.name.clone(), at), *value);
                }
            }
        }
        samples.into_iter().map(|((object, name, at), value)| (object, name, at, value)).collect()
    }
}

fn object(number: usize) -> String {
    format!("thing-{number}")
}

/// Waits until a table says what the samples come to.
async fn all_rolled_up(database: &mut PgConnection, table: &str, unit: &str) -> Outcome<()> {
    let differing = format!(
        "SELECT count(*) FROM (SELECT series, date_trunc('{unit}', at, 'UTC') AS at, count(*), \
         sum(value), min(value), max(value) FROM metrics.sample GROUP BY 1, 2) AS s \
         FULL JOIN metrics.{table} AS r USING (series, at) \
         WHERE (s.count, s.sum, s.min, s.max) IS DISTINCT FROM (r.count, r.sum, r.min, r.max)"
    );
    wait_until(&format!("what is in metrics.{table}"), LONG, async || {
        let found: Result<i64, sqlx::Error> =
            sqlx::query_scalar(AssertSqlSafe(&*differing)).fetch_one(&mut *database).await;
        match found.map_err(|error| error.to_string())? {
            0 => Ok(()),
            found => Err(format!("{found} differ")),
        }
    })
    .await?;
    Ok(())
}

/// Compares rows in their order.
fn same<T: PartialEq + Debug>(found: &[T], wanted: &[T]) -> Result<(), String> {
    let differs = found.iter().zip(wanted).find(|(found, wanted)| found != wanted);
    if differs.is_some() || found.len() != wanted.len() {
        let (found, wanted) = (found.len(), wanted.len());
        return Err(format!("{found} rows, not {wanted}; the first that differs: {differs:?}"));
    }
    Ok(())
}
