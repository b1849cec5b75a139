//! Carries the changes of quiet sources past the backlog that another one makes in the live lane.
//!
//! While a live partition is far behind, a reader of its own reads what is new there, and the
//! records of quiet sources are applied at once. The lane applies them again in their turn: records
//! commute, and one that is applied twice changes nothing. The lane's positions alone tell how far
//! the topic is applied. So nothing is lost with what is skipped or fails here.

use crate::decode::{Work, decode};
use crate::error::PersistError;
use crate::licence::Licence;
use crate::metrics::Metrics;
use crate::partitions::session;
use crate::quiet::Traffic;
use crate::step;
use catalog::Types;
use chassis::{Backoff, Trouble};
use plan::Spare;
use positions::Progress;
use records::{Offset, Partition};
use schemas::database::DatabaseSettings;
use sqlx::{Connection, PgConnection};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use wire::{Event, Incoming, KafkaProblem, PartitionStart, ReaderHandle};

/// How often it is asked how far the lane is behind.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A partition is far behind when the lane would need a second for the records before the newest
/// one; never by fewer than a part of a batch, and always by so many batches.
const BATCH_PART: i64 = 5;
const BATCHES_BEHIND: i64 = 2;
/// One that is behind by less than half of it is caught up, and one at its end is.
const FEWEST: i64 = 2;

/// What carries them.
pub struct Express {
    /// Where connections come from.
    pub database: DatabaseSettings,
    /// Commands to its own reader of the live topic, which hands over what is of quiet sources.
    pub reader: ReaderHandle,
    /// Who is quiet.
    pub traffic: Arc<Traffic>,
    /// How far the live lane is.
    pub live: Progress,
    /// What schema ids mean.
    pub types: Types,
    /// What is counted.
    pub metrics: Metrics,
    /// The most records of a batch.
    pub batch_records: usize,
}

/// An express that runs.
struct Running {
    express: Express,
    connection: Option<PgConnection>,
    /// The partitions that are read.
    reads: HashSet<Partition>,
    /// Where the lane was at the last look, and what it applies in half a second, the newest looks
    /// counting most.
    lately: HashMap<Partition, (Offset, i64)>,
    spare: Spare,
    trouble: Trouble,
    backoff: Backoff,
    /// After a failure nothing is carried for a while.
    rests_until: Option<Instant>,
}

/// What it wakes for.
enum Wake {
    Look,
    Records(Vec<Incoming>),
}

impl Express {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// If the reader has ended.
    pub async fn run(
        self,
        mut events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) -> Result<(), PersistError> {
        let batch_records = self.batch_records;
        let mut running = Running {
            express: self,
            connection: None,
            reads: HashSet::new(),
            lately: HashMap::new(),
            spare: Spare::default(),
            trouble: Trouble::of("express of the live lane".to_owned()),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            rests_until: None,
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fetched = Vec::new();
        loop {
            let wake = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = looks.tick() => Wake::Look,
                count = events.recv_many(&mut fetched, batch_records) => {
                    if count == 0 {
                        return Err(KafkaProblem::Stopped.into());
                    }
                    Wake::Records(fetched.drain(..).filter_map(Event::into_record).collect())
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = running.work(wake) => {}
            }
        }
    }
}

impl Running {
    /// What fails is the lane's to do, and to tell where Kafka is concerned.
    async fn work(&mut self, wake: Wake) {
        match wake {
            Wake::Look => {
                if let Err(error) = self.look().await {
                    tracing::debug!("how far the live lane is behind is not known: {error}");
                }
            }
            Wake::Records(_) if self.rests_until.is_some_and(|until| Instant::now() < until) => {}
            Wake::Records(carried) => match self.carry(&carried).await {
                Ok(()) => {
                    self.backoff.reset();
                    self.trouble.end();
                }
                Err(error) => {
                    self.trouble.tell(&error);
                    self.rests_until = Some(Instant::now() + self.backoff.next_delay());
                    self.forget();
                }
            },
        }
    }

    /// Begins to read partitions that are far behind, at what is new, and ends with those that are
    /// not any more.
    async fn look(&mut self) -> Result<(), PersistError> {
        self.count();
        self.express.traffic.fade(self.lately.values().map(|(_, lately)| lately).sum());
        let behind = self.behind().await?;
        let far = |partition: &Partition| {
            let lately = self.lately.get(partition).map_or(0, |(_, lately)| *lately);
            far(lately, self.express.batch_records)
        };
        let is_over = |partition: &&Partition| {
            behind.get(partition).is_none_or(|(records, _)| *records < far(partition) / 2)
        };
        let over: Vec<Partition> = self.reads.iter().filter(is_over).copied().collect();
        let starts: Vec<(Partition, PartitionStart)> = behind
            .into_iter()
            .filter(|(partition, (records, _))| {
                *records >= far(partition) && !self.reads.contains(partition)
            })
            .map(|(partition, (_, end))| (partition, PartitionStart::At(end)))
            .collect();
        self.reads.retain(|partition| !over.contains(partition));
        self.reads.extend(starts.iter().map(|(partition, _)| *partition));
        if !over.is_empty() {
            self.express.reader.unassign(over);
        }
        if !starts.is_empty() {
            tracing::info!(
                partitions = starts.len(),
                "the live lane is far behind; changes of quiet sources go ahead of it"
            );
            self.express.reader.assign(starts);
        }
        if self.reads.is_empty() && self.connection.is_some() {
            self.forget();
        }
        Ok(())
    }

    /// Counts what the lane has applied since the last look.
    fn count(&mut self) {
        let counted = |(partition, next): (Partition, Offset)| {
            let (before, lately) = self.lately.get(&partition).copied().unwrap_or((next, 0));
            (partition, (next, lately / 2 + (next.0 - before.0).max(0)))
        };
        self.lately = self.express.live.positions().into_iter().map(counted).collect();
    }

    /// How many records each of the lane's partitions is behind, and where it ends.
    async fn behind(&self) -> Result<HashMap<Partition, (i64, Offset)>, PersistError> {
        let positions = self.express.live.positions();
        if positions.is_empty() {
            return Ok(HashMap::new());
        }
        let ends = self.express.live.ends(positions.keys().copied().collect()).await?;
        let behind = |(partition, end): (Partition, Offset)| {
            Some((partition, (end.0 - positions.get(&partition)?.0, end)))
        };
        Ok(ends.into_iter().filter_map(behind).collect())
    }

    /// Applies the records of quiet sources.
    async fn carry(&mut self, carried: &[Incoming]) -> Result<(), PersistError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(session(&self.express.database).await?),
        };
        let types = &mut self.express.types;
        types.look_up_all(connection, carried).await?;
        let mut decoded = decode(carried, types.known(), &self.spare);
        if types.meet(connection, &decoded.unmet).await? {
            decoded = decode(carried, types.known(), &self.spare);
        }
        for step in decoded.steps {
            let tables = step.work.tables(types.known());
            let mut transaction = connection.begin().await?;
            step::apply(&mut transaction, &step.work, &tables, &Licence::default()).await?;
            transaction.commit().await?;
            if let Work::Changes(batches) = step.work {
                batches.into_values().for_each(|batch| self.spare.keep(batch));
            }
        }
        self.express.metrics.express_records.inc_by(carried.len() as u64);
        Ok(())
    }

    /// With a connection goes what was known of the tables: they may be others next time.
    fn forget(&mut self) {
        self.connection = None;
        self.express.types.forget();
    }
}

/// By how many records a partition is far behind, of which the lane applies so many in half a
/// second.
fn far(lately: i64, batch_records: usize) -> i64 {
    let batch = i64::try_from(batch_records).unwrap_or(i64::MAX / BATCHES_BEHIND);
    (2 * lately).clamp(FEWEST.max(batch / BATCH_PART), BATCHES_BEHIND * batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a tenth of the speed a record would wait ten times as long behind as many others.
    #[test]
    fn a_slow_lane_is_far_behind_by_fewer_records() {
        assert_eq!([0, 1_250, 12_500].map(|lately| far(lately, 5_000)), [1_000, 2_500, 10_000]);
    }

    #[test]
    fn a_partition_at_its_end_is_never_far_behind() {
        assert_eq!([1, 4, 9].map(|batch| far(0, batch)), [2; 3]);
    }
}
