//! One connection of a lane: it wakes, fetches what has arrived, and applies it. A lane has several
//! of them, each with partitions of its own.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::inbox::{Batch, Fill, Inbox};
use crate::metrics::{Lane as LaneName, Metrics};
use catalog::Types;
use chassis::{Backoff, Health, Trouble};
use plan::Spare;
use positions::{Keeper, Owner, Progress, Seen};
use records::{Offset, Partition};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
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
    /// Which of its connections.
    pub number: usize,
    /// Whose positions.
    pub owner: Owner,
    /// Where connections come from.
    pub database: schemas::database::DatabaseSettings,
    /// Commands to the reader thread.
    pub reader: ReaderHandle,
    /// The group's own reader, which commits for all lanes.
    pub group: ReaderHandle,
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
    /// Up to where partitions have been read, beyond their last records.
    pub(crate) ends: HashMap<Partition, Offset>,
    /// Dead letters of records that are still to be committed: they are not sent again.
    pub(crate) buried: HashSet<(Partition, Offset)>,
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
    /// The memory of batches that were applied.
    pub(crate) spare: Arc<Spare>,
}

/// What a lane wakes for.
enum Wake {
    Events,
    Look,
}

impl Lane {
    /// Applies what the reader thread fetches, until `stop`; errors that time or PostgreSQL can
    /// heal are tried again.
    ///
    /// # Errors
    /// What a person must mend.
    pub async fn run(
        mut self,
        events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) -> Result<(), PersistError> {
        let known = history::Known::new(&self.history);
        let (name, mut inbox) =
            (self.name, Inbox::new(events, Fill::full(self.name, self.batch_records)));
        let mut running = Running {
            lane: &mut self,
            connection: None,
            known,
            ends: HashMap::new(),
            buried: HashSet::new(),
            expected: HashMap::new(),
            stale: HashSet::new(),
            stuck: HashSet::new(),
            disowned: HashMap::new(),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            trouble: Trouble::of(format!("{name:?} lane")),
            released_at: None,
            settled_at: None,
            seen: Seen::default(),
            spare: Arc::default(),
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                is_open = inbox.has_some() => {
                    if !is_open {
                        return Err(KafkaProblem::Stopped.into());
                    }
                    Wake::Events
                }
                _ = looks.tick() => Wake::Look,
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                done = running.work(wake, &mut inbox) => done?,
            }
        }
    }
}

impl Running<'_> {
    async fn work(&mut self, wake: Wake, inbox: &mut Inbox) -> Result<(), PersistError> {
        match wake {
            Wake::Look => self.look().await?,
            Wake::Events => {
                let batch = self.fetch(inbox).await?;
                if !batch.records.is_empty() {
                    self.persist(batch, inbox).await?;
                }
            }
        }
        self.pass_ends().await;
        Ok(())
    }

    /// The next records, as many as have arrived; none when only the assignment has changed.
    async fn fetch(&mut self, inbox: &mut Inbox) -> Result<Batch, PersistError> {
        let (mut fetched, mut fill) = (Vec::new(), Fill::default());
        if let Some(mut batch) = inbox.decoded().await? {
            let known = batch.records.len();
            batch.records.retain(|record| self.is_ours(record));
            if batch.records.len() < known {
                batch.decoded = None;
            }
            if !batch.records.is_empty() {
                return Ok(batch);
            }
        }
        while let Some(event) = inbox.next() {
            match event {
                Event::Record(record) if self.is_ours(&record) => {
                    fill.add(&record);
                    fetched.push(record);
                }
                Event::Record(_) => {}
                Event::AtEnd { partition, next } => drop(self.ends.insert(partition, next)),
                Event::Assigned { partition, start } => {
                    self.assigned(partition, start).await;
                    // The reader begins anew: they come again if they are still to be applied.
                    fetched.retain(|record: &Incoming| record.partition != partition);
                }
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
            if inbox.is_full(&fill) {
                break;
            }
        }
        Ok(Batch { records: fetched, decoded: None })
    }

    /// Whether a record is not applied yet, as far as this member knows.
    pub(crate) fn is_next(&self, record: &Incoming) -> bool {
        self.expected.get(&record.partition).is_some_and(|next| record.offset >= *next)
    }

    fn is_ours(&self, record: &Incoming) -> bool {
        self.is_next(record) && !self.stale.contains(&record.partition)
    }
}
