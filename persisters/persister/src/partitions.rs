//! Which partitions are a lane's own, and where they are: as `tributary.position` says.

use crate::error::PersistError;
use crate::lane::Running;
use crate::metrics::Lane as LaneName;
use catalog::release;
use chassis::Backoff;
use positions::take_over;
use records::{Offset, Partition};
use schemas::database::{DatabaseSettings, connect_one};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use wire::PartitionStart;

/// How often types that wait are tried again; each try may be a refusal in PostgreSQL's log.
const RELEASE_EVERY: Duration = Duration::from_secs(5);

/// How often the log is compared with what was read of it: to a running client a topic that is made
/// anew looks like one without news.
const SETTLE_EVERY: Duration = Duration::from_secs(30);

/// How a session is set whose transactions apply batches.
///
/// The comparison of positions makes lost commits good. A member that sleeps in a transaction loses
/// it before the group gives its partitions away: the next owner would wait for its locks.
///
/// Rows are looked up by their keys, one by one, in the order of the keys. Of a table that is small
/// or was just made PostgreSQL would read all, and go on so while it grows, until it is analysed.
/// Its compiler must not start where no other way is there.
pub const SESSION: &str = "SET synchronous_commit = off; \
     SET idle_in_transaction_session_timeout = '5s'; SET plan_cache_mode = force_generic_plan; \
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
     SET jit = off";

/// How long the table may give a partition to another member than the group does: whoever was
/// thrown out of the group has heard of it by then.
const RECLAIM_AFTER: Duration = Duration::from_secs(10);

impl Running<'_> {
    /// Takes up a partition where the table says that it is. If the reader begins elsewhere, the
    /// position was moved meanwhile, and it is sent there.
    pub(crate) async fn assigned(&mut self, partition: Partition, start: PartitionStart) {
        self.ends.remove(&partition);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let position = loop {
            match self.positions([partition].into()).await {
                Ok(positions) => break positions.get(&partition).copied(),
                Err(error) => {
                    self.trouble.tell(&error);
                    self.connection = None;
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        };
        let Some(next) = position else { return self.disowned(partition) };
        self.disowned.remove(&partition);
        if PartitionStart::from_next(next) == start {
            self.expected.insert(partition, next);
            self.stale.remove(&partition);
            self.lane.progress.applied([(partition, next)]);
            // What the owner before it did not live to commit; nothing may flow for long.
            self.lane.group.commit(&self.lane.owner.topic, vec![(partition, next)]);
        } else {
            self.seek([(partition, next)].into());
        }
    }

    /// The partition is another member's, as the group says.
    pub(crate) fn released(&mut self, partition: Partition) {
        self.disowned.remove(&partition);
        self.put_down(partition);
    }

    /// The partition is another member's, as the table says. The group should say so soon. If it
    /// does not, then a member that was thrown out of the group was the last to take the partition
    /// over, or the database is an older one.
    fn disowned(&mut self, partition: Partition) {
        self.disowned.entry(partition).or_insert_with(Instant::now);
        self.put_down(partition);
    }

    fn put_down(&mut self, partition: Partition) {
        self.expected.remove(&partition);
        self.stale.remove(&partition);
        self.ends.remove(&partition);
        self.buried.retain(|(buried, _)| *buried != partition);
        self.lane.progress.released(partition);
    }

    /// Whether this is the one that looks after what all lanes have in common.
    fn is_first(&self) -> bool {
        self.lane.name == LaneName::Live && self.lane.number == 0
    }

    /// Compares the positions with the table's: a person may have moved them, or another member
    /// may own them. Without partitions no connection is needed.
    ///
    /// # Errors
    /// What a person must mend.
    pub(crate) async fn look(&mut self) -> Result<(), PersistError> {
        if self.expected.is_empty() && self.disowned.is_empty() && !self.is_first() {
            self.connection = None;
            return Ok(());
        }
        match self.look_at_tables().await {
            Ok(positions) => self.compare(&positions),
            Err(error) => {
                self.trouble.tell(&error);
                self.connection = None;
            }
        }
        Ok(())
    }

    async fn look_at_tables(&mut self) -> Result<HashMap<Partition, Offset>, PersistError> {
        if self.is_first() && self.released_at.is_none_or(|at| at.elapsed() >= RELEASE_EVERY) {
            let (ready, waiting) = release(self.connect().await?).await?;
            self.released_at = Some(Instant::now());
            self.lane.metrics.waiting_types.set(i64::try_from(waiting).unwrap_or(i64::MAX));
            if ready > 0 {
                self.lane.types.forget();
            }
        }
        self.reclaim().await?;
        if self.settled_at.is_none_or(|at| at.elapsed() >= SETTLE_EVERY) {
            self.settled_at = Some(Instant::now());
            return self.settle().await;
        }
        self.positions(self.expected.keys().copied().collect()).await
    }

    async fn reclaim(&mut self) -> Result<(), PersistError> {
        let is_due = |(_, since): &(&Partition, &Instant)| since.elapsed() >= RECLAIM_AFTER;
        let due: Vec<Partition> =
            self.disowned.iter().filter(is_due).map(|(partition, _)| *partition).collect();
        if due.is_empty() {
            return Ok(());
        }
        let (keeper, owner) = (self.lane.keeper.clone(), self.lane.owner.clone());
        tracing::warn!(
            topic = owner.topic,
            partitions = due.len(),
            "another member has taken partitions over that the group leaves to this one; taking \
             them back"
        );
        take_over(self.connect().await?, &owner, &due).await?;
        let positions = keeper.settle(self.connect().await?, &owner, &due).await?;
        self.disowned.retain(|partition, _| !due.contains(partition));
        self.seek(positions.into_iter().collect());
        Ok(())
    }

    fn compare(&mut self, positions: &HashMap<Partition, Offset>) {
        let mut moved = HashMap::new();
        for (partition, expected) in self.expected.clone() {
            let is_stuck = self.stuck.contains(&partition) && self.stale.contains(&partition);
            match positions.get(&partition) {
                None => self.disowned(partition),
                Some(next) if *next != expected || is_stuck => drop(moved.insert(partition, *next)),
                Some(_) => {}
            }
        }
        if !moved.is_empty() {
            tracing::info!(
                topic = self.lane.owner.topic,
                partitions = moved.len(),
                "positions were moved; reading again from there"
            );
            self.lane.types.forget();
            self.seek(moved);
        }
        self.stuck.clone_from(&self.stale);
    }

    /// The reader was sent to offsets that are not there: all partitions are settled and read again
    /// from their positions, because Kafka does not say of which one it is.
    pub(crate) async fn lost(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match self.settle().await {
                Ok(positions) => return self.seek(positions),
                Err(error) => {
                    self.trouble.tell(&error);
                    self.connection = None;
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    async fn settle(&mut self) -> Result<HashMap<Partition, Offset>, PersistError> {
        let (keeper, owner) = (self.lane.keeper.clone(), self.lane.owner.clone());
        let partitions: Vec<Partition> = self.expected.keys().copied().collect();
        let settled = keeper.settle(self.connect().await?, &owner, &partitions).await?;
        Ok(settled.into_iter().collect())
    }

    /// Goes back to the positions that the table has, if it can be asked: the records in hand are
    /// then fetched again from there.
    pub(crate) async fn read_again(&mut self, partitions: HashSet<Partition>) -> bool {
        let Ok(positions) = self.positions(partitions.clone()).await else { return false };
        for partition in partitions {
            if !positions.contains_key(&partition) {
                self.disowned(partition);
            }
        }
        let back = |(partition, next): (&Partition, &Offset)| {
            Some((self.expected.get(partition)?.0 - next.0).max(0))
        };
        let back: i64 = positions.iter().filter_map(back).sum();
        if back > 0 {
            tracing::warn!(
                topic = self.lane.owner.topic,
                records = back,
                "PostgreSQL has lost the last commits, in a crash or by a restore; reading again"
            );
        }
        self.seek(positions);
        true
    }

    /// Sends the reader there; what comes before the partition is assigned anew is stale.
    fn seek(&mut self, positions: HashMap<Partition, Offset>) {
        for (partition, next) in &positions {
            self.expected.insert(*partition, *next);
            self.stale.insert(*partition);
            self.lane.progress.applied([(*partition, *next)]);
        }
        let start = |(partition, next)| (partition, PartitionStart::from_next(next));
        self.lane.reader.reset(positions.into_iter().map(start).collect());
    }

    /// The positions of those of these partitions that are ours.
    async fn positions(
        &mut self,
        partitions: HashSet<Partition>,
    ) -> Result<HashMap<Partition, Offset>, PersistError> {
        let owner = self.lane.owner.clone();
        let partitions: Vec<i32> = partitions.into_iter().map(|partition| partition.0).collect();
        let rows: Vec<(i32, i64)> = sqlx::query_as(
            "SELECT partition, next_offset FROM tributary.position \
             WHERE topic = $1 AND owner = $2 AND partition = ANY ($3)",
        )
        .bind(&owner.topic)
        .bind(&owner.member)
        .bind(partitions)
        .fetch_all(self.connect().await?)
        .await?;
        Ok(rows.into_iter().map(|(partition, next)| (Partition(partition), Offset(next))).collect())
    }

    pub(crate) async fn connect(&mut self) -> Result<&mut PgConnection, PersistError> {
        if self.connection.is_none() {
            let connected = session(&self.lane.database).await;
            let state = connected.as_ref().map(drop).map_err(ToString::to_string);
            self.lane.health.ready("database", state);
            self.connection = Some(connected?);
            self.known = history::Known::new(&self.lane.history);
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }
}

/// A connection as batches need it.
pub(crate) async fn session(database: &DatabaseSettings) -> Result<PgConnection, PersistError> {
    let mut connection = connect_one(database).await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}
