//! One lane: which partitions are its own, and what it fetches from them.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::live::LivePositions;
use crate::metrics::{Lane as LaneName, Metrics};
use crate::transaction::Owner;
use crate::types::Types;
use chassis::Backoff;
use records::{Offset, Partition};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Event, Incoming, KafkaProblem, PartitionStart, ReaderHandle};

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
pub(crate) struct Running<'a> {
    pub(crate) lane: &'a mut Lane,
    pub(crate) connection: Option<PgConnection>,
    /// The partitions of this member, and where the table must say that they are.
    pub(crate) expected: HashMap<Partition, Offset>,
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
        let event = self.lane.events.recv().await.ok_or(KafkaProblem::Stopped)?;
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

    /// Goes back to the positions that the table has, if it can be asked: the records in hand are
    /// then fetched again from there.
    pub(crate) async fn read_again(&mut self, fetched: &[Incoming]) -> bool {
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

    pub(crate) fn tell_live(&self, next: impl IntoIterator<Item = (Partition, Offset)>) {
        if self.lane.name == LaneName::Live {
            self.lane.live.applied(next);
        }
    }

    pub(crate) async fn connect(&mut self) -> Result<&mut PgConnection, PersistError> {
        if self.connection.is_none() {
            let mut connection = schemas::database::connect_one(&self.lane.database).await?;
            sqlx::query("SET synchronous_commit = off").execute(&mut connection).await?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }
}
