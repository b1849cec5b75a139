//! One lane: it wakes, fetches what has arrived, and applies it.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::metrics::{Lane as LaneName, Metrics};
use crate::seen::Seen;
use crate::types::Types;
use chassis::{Backoff, Health, Trouble};
use positions::{Keeper, Owner, Progress};
use records::{Offset, Partition};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use wire::{Event, Incoming, KafkaProblem, ReaderHandle};

/// How often the positions are compared with the table's, also when nothing flows.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    /// The group's own reader, which commits for all lanes.
    pub group: ReaderHandle,
    /// What the reader thread has fetched.
    pub events: mpsc::Receiver<Event>,
    /// What schema ids mean.
    pub types: Types,
    /// Where rejected records go.
    pub dead_letters: DeadLetters,
    /// What is counted.
    pub metrics: Metrics,
    /// Knows which log a position belongs to.
    pub keeper: Keeper,
    /// Who hears whether PostgreSQL can be reached.
    pub health: Health,
    /// How far this lane is.
    pub progress: Progress,
    /// How far the live lane is.
    pub live: Progress,
    /// The most records of a batch.
    pub batch_records: usize,
    /// How long events and samples are kept.
    pub history: history::Settings,
}

/// A lane that runs: its connection and its partitions.
pub(crate) struct Running<'a> {
    pub(crate) lane: &'a mut Lane,
    pub(crate) connection: Option<PgConnection>,
    /// What the connection knows of partitions and series.
    pub(crate) known: history::Known,
    /// The partitions of this member, and where the table must say that they are.
    pub(crate) expected: HashMap<Partition, Offset>,
    /// Partitions that are being read again: their records are stale until they are assigned anew.
    pub(crate) stale: HashSet<Partition>,
    /// Those of them that were so already when the positions were last compared.
    pub(crate) stuck: HashSet<Partition>,
    /// Partitions that the group leaves to this member and the table gives to another, since when.
    pub(crate) disowned: HashMap<Partition, Instant>,
    /// How long to wait after a batch that failed: not less because the next one begins anew.
    pub(crate) backoff: Backoff,
    /// What has failed, as far as it was told.
    pub(crate) trouble: Trouble,
    /// When types that wait were last tried again.
    pub(crate) released_at: Option<Instant>,
    /// When the log was last compared with what was read of it.
    pub(crate) settled_at: Option<Instant>,
    /// When sources were last heard of.
    pub(crate) seen: Seen,
}

/// What a lane wakes for.
enum Wake {
    Event(Event),
    Look,
}

impl Lane {
    /// Runs until `stop`; errors that time or PostgreSQL can heal are tried again.
    ///
    /// # Errors
    /// What a person must mend.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PersistError> {
        let known = history::Known::new(&self.history);
        let name = self.name;
        let mut running = Running {
            lane: &mut self,
            connection: None,
            known,
            expected: HashMap::new(),
            stale: HashSet::new(),
            stuck: HashSet::new(),
            disowned: HashMap::new(),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            trouble: Trouble::of(format!("{name:?} lane")),
            released_at: None,
            settled_at: None,
            seen: Seen::default(),
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                event = running.lane.events.recv() => {
                    Wake::Event(event.ok_or(KafkaProblem::Stopped)?)
                }
                _ = looks.tick() => Wake::Look,
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                done = running.work(wake) => done?,
            }
        }
    }
}

impl Running<'_> {
    async fn work(&mut self, wake: Wake) -> Result<(), PersistError> {
        match wake {
            Wake::Look => self.look().await,
            Wake::Event(event) => {
                let fetched = self.fetch(event).await?;
                if fetched.is_empty() { Ok(()) } else { self.persist(fetched).await }
            }
        }
    }

    /// The next records, as many as have arrived; none when only the assignment has changed.
    async fn fetch(&mut self, first: Event) -> Result<Vec<Incoming>, PersistError> {
        let mut fetched = Vec::new();
        let mut next = Some(first);
        while let Some(event) = next {
            match event {
                Event::Record(record) if self.is_ours(record.partition) => fetched.push(record),
                Event::Record(_) => {}
                Event::Assigned { partition, start } => self.assigned(partition, start).await,
                Event::Revoked { partition } => {
                    self.released(partition);
                    fetched.retain(|record: &Incoming| record.partition != partition);
                }
                Event::Problem(KafkaProblem::PositionLost { .. }) => {
                    fetched.clear();
                    self.lost().await;
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
}
