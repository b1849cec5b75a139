//! One lane: fetch a batch, decode it, apply it in transactions that carry the positions.

use crate::dead_letters::DeadLetters;
use crate::decode::{Rejected, Step, Work, decode};
use crate::error::PersistError;
use crate::live::LivePositions;
use crate::metrics::{ClassLabel, Lane as LaneName, LaneLabel, Metrics};
use crate::step;
use crate::transaction::{Advance, Owner, advance};
use crate::types::Types;
use crate::upserts::Counts;
use chassis::Backoff;
use records::{Offset, Partition, Version};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Event, Incoming, PartitionStart, ReaderHandle};

/// What a lane works with.
pub struct Lane {
    /// Which one.
    pub name: LaneName,
    /// Whose positions.
    pub owner: Owner,
    /// Where connections come from.
    pub database: schemas::database::DatabaseSettings,
    /// Commands to the reader thread.
    pub reader: ReaderHandle,
    /// The group's own reader, which commits for both lanes.
    pub group: ReaderHandle,
    /// What the reader thread has fetched.
    pub events: mpsc::Receiver<Event>,
    /// What schema ids mean.
    pub types: Types,
    /// Where rejected records go.
    pub dead_letters: DeadLetters,
    /// What is counted.
    pub metrics: Metrics,
    /// How far the live lane is: kept by the live lane, asked by the snapshot lane.
    pub live: LivePositions,
    /// The most records of a batch.
    pub batch_records: usize,
}

/// A lane that runs: its connection and its partitions.
struct Running<'a> {
    lane: &'a mut Lane,
    connection: Option<PgConnection>,
    expected: HashMap<Partition, Offset>,
    /// Partitions that are being read again: their records are stale until they are assigned anew.
    stale: HashSet<Partition>,
}

impl Lane {
    /// Runs until `stop`; errors that time or PostgreSQL can heal are tried again.
    ///
    /// # Errors
    /// What a person must mend.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PersistError> {
        let mut running = Running {
            lane: &mut self,
            connection: None,
            expected: HashMap::new(),
            stale: HashSet::new(),
        };
        loop {
            let fetched = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                fetched = running.fetch() => fetched?,
            };
            if !fetched.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    done = running.persist(fetched) => done?,
                }
            }
        }
    }
}

impl Running<'_> {
    /// The next records, as many as have arrived; none when only the assignment has changed.
    async fn fetch(&mut self) -> Result<Vec<Incoming>, PersistError> {
        let mut fetched = Vec::new();
        let Some(event) = self.lane.events.recv().await else { return Ok(fetched) };
        let mut next = Some(event);
        while let Some(event) = next {
            match event {
                Event::Record(record) if self.is_ours(record.partition) => fetched.push(record),
                Event::Record(_) => {}
                Event::Assigned { partition, .. } => self.assigned(partition).await,
                Event::Revoked { partition } => {
                    self.expected.remove(&partition);
                    self.stale.remove(&partition);
                    fetched.retain(|record: &Incoming| record.partition != partition);
                }
                Event::Problem(problem) if problem.is_final() => return Err(problem.into()),
                Event::Problem(problem) => tracing::warn!("{}", chassis::exit::chain(&problem)),
            }
            let full = fetched.len() >= self.lane.batch_records;
            next = if full { None } else { self.lane.events.try_recv().ok() };
        }
        Ok(fetched)
    }

    fn is_ours(&self, partition: Partition) -> bool {
        self.expected.contains_key(&partition) && !self.stale.contains(&partition)
    }

    /// Takes up a partition where the table says that it is.
    async fn assigned(&mut self, partition: Partition) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match self.position(partition).await {
                Ok(Some(next)) => {
                    self.expected.insert(partition, next);
                    self.stale.remove(&partition);
                    self.tell_live([(partition, next)]);
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!("{}", chassis::exit::chain(&error));
                    self.connection = None;
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    async fn position(&mut self, partition: Partition) -> Result<Option<Offset>, PersistError> {
        let owner = self.lane.owner.clone();
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT next_offset FROM tributary.position \
             WHERE topic = $1 AND partition = $2 AND owner = $3",
        )
        .bind(&owner.topic)
        .bind(partition.0)
        .bind(&owner.member)
        .fetch_optional(self.connect().await?)
        .await?;
        Ok(next.map(Offset))
    }

    /// Applies fetched records, again and again until it succeeds or the positions turn out to be
    /// elsewhere.
    async fn persist(&mut self, fetched: Vec<Incoming>) -> Result<(), PersistError> {
        let started = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            match self.apply(&fetched).await {
                Ok(()) => break,
                Err(error) if chassis::ExitKind::is_final(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(lane = ?self.lane.name, "{}", chassis::exit::chain(&error));
                    self.connection = None;
                    self.lane.types.forget();
                    tokio::time::sleep(backoff.next_delay()).await;
                    if self.read_again(&fetched).await {
                        return Ok(());
                    }
                }
            }
        }
        let label = LaneLabel { lane: self.lane.name };
        let seconds = started.elapsed().as_secs_f64();
        self.lane.metrics.busy.get_or_create(&label).inc_by(seconds);
        self.lane.metrics.batch_duration.get_or_create(&label).observe(seconds);
        Ok(())
    }

    /// Goes back to the positions that the table has, if it can be asked: the records in hand are
    /// then fetched again from there.
    async fn read_again(&mut self, fetched: &[Incoming]) -> bool {
        let partitions: HashSet<Partition> = fetched.iter().map(|r| r.partition).collect();
        let mut starts = Vec::new();
        for partition in partitions {
            match self.position(partition).await {
                Ok(Some(next)) => starts.push((partition, PartitionStart::from_next(next))),
                Ok(None) => drop(self.expected.remove(&partition)),
                Err(_) => return false,
            }
        }
        self.stale.extend(starts.iter().map(|(partition, _)| *partition));
        self.lane.reader.reset(starts);
        true
    }

    async fn apply(&mut self, fetched: &[Incoming]) -> Result<(), PersistError> {
        self.look_up_schemas(fetched).await?;
        let (steps, rejected) = decode(fetched, &self.lane.types);
        self.bury(fetched, &rejected).await?;
        let licensed = self.is_licensed(fetched).await?;
        let mut done = 0;
        for step in &steps {
            if step.end > done {
                self.apply_step(&fetched[done..step.end], step, licensed).await?;
                done = step.end;
            }
        }
        Ok(())
    }

    async fn look_up_schemas(&mut self, fetched: &[Incoming]) -> Result<(), PersistError> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let ids: HashSet<_> = fetched
            .iter()
            .filter_map(|record| wire::unframe(record.payload.as_deref()?).ok())
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.lane.types.look_up(connection, id).await?;
        }
        Ok(())
    }

    async fn bury(
        &mut self,
        fetched: &[Incoming],
        rejected: &[Rejected],
    ) -> Result<(), PersistError> {
        for reject in rejected {
            let record = &fetched[reject.origin];
            tracing::warn!(
                topic = self.lane.owner.topic,
                partition = record.partition.0,
                offset = record.offset.0,
                class = reject.class,
                "dead letter: {}",
                reject.message
            );
            let label = ClassLabel { class: reject.class };
            self.lane.metrics.dead_letters.get_or_create(&label).inc();
        }
        self.lane.dead_letters.send(&self.lane.owner.topic, fetched, rejected).await
    }

    /// The licence: the live lane is caught up with what was there after the last record of this
    /// batch was fetched.
    async fn is_licensed(&mut self, fetched: &[Incoming]) -> Result<bool, PersistError> {
        if self.lane.name == LaneName::Live {
            return Ok(false);
        }
        let partitions: HashSet<Partition> = fetched.iter().map(|r| r.partition).collect();
        self.lane.live.caught_up(partitions).await
    }

    async fn apply_step(
        &mut self,
        fetched: &[Incoming],
        step: &Step,
        licensed: bool,
    ) -> Result<(), PersistError> {
        let advances = self.advances(fetched);
        let types = self.lane.types.tables_of(&step.work);
        let owner = self.lane.owner.clone();
        let mut transaction = self.connect().await?.begin().await?;
        advance(&mut transaction, &owner, &advances).await?;
        let counts = step::apply(&mut transaction, &step.work, &types, licensed).await?;
        transaction.commit().await?;
        self.committed(&advances, counts, step);
        Ok(())
    }

    fn advances(&self, fetched: &[Incoming]) -> Vec<Advance> {
        let mut next = BTreeMap::new();
        for record in fetched {
            next.insert(record.partition, record.offset.next());
        }
        next.into_iter()
            .filter_map(|(partition, next)| {
                Some(Advance { partition, expected: *self.expected.get(&partition)?, next })
            })
            .collect()
    }

    fn committed(&mut self, advances: &[Advance], counts: Counts, step: &Step) {
        let label = LaneLabel { lane: self.lane.name };
        let metrics = &self.lane.metrics;
        metrics.records_applied.get_or_create(&label).inc_by(counts.applied);
        metrics.records_unchanged.get_or_create(&label).inc_by(counts.unchanged);
        metrics.rows_changed.get_or_create(&label).inc_by(counts.rows_changed);
        let now = Version::now();
        if let Work::Changes(batches) = &step.work {
            let ages = metrics.record_age.get_or_create(&label);
            let records = batches.values().flat_map(plan::Batch::records);
            records
                .map(|r| r.version.age_seconds(now))
                .filter(|a| *a >= 0.0)
                .for_each(|a| ages.observe(a));
        }
        self.expected.extend(advances.iter().map(|a| (a.partition, a.next)));
        self.tell_live(advances.iter().map(|a| (a.partition, a.next)));
        let next = advances.iter().map(|a| (a.partition, a.next)).collect();
        self.lane.group.commit(&self.lane.owner.topic, next);
    }

    fn tell_live(&self, next: impl IntoIterator<Item = (Partition, Offset)>) {
        if self.lane.name == LaneName::Live {
            self.lane.live.applied(next);
        }
    }

    async fn connect(&mut self) -> Result<&mut PgConnection, PersistError> {
        if self.connection.is_none() {
            let mut connection = schemas::database::connect_one(&self.lane.database).await?;
            sqlx::query("SET synchronous_commit = off").execute(&mut connection).await?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }
}
