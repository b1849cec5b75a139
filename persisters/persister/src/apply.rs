//! Applies what a lane has fetched, in transactions that carry the positions.

use crate::decode::{Decoded, Rejected, Step, Work};
use crate::error::PersistError;
use crate::inbox::{Batch, Decoder, Inbox};
use crate::isolate::isolate;
use crate::lane::Running;
use crate::licence::Licence;
use crate::metrics::{ClassLabel, Lane as LaneName, LaneLabel};
use crate::step::{self, sources};
use catalog::{Known, Skipped, Waiting, park};
use inventory::{Counts, InventoryError};
use positions::{Advance, Owner, Stamp, advance, remember};
use records::{Partition, TypeName, Version};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;
use wire::Incoming;

/// What a transaction does before its records.
struct Moves {
    advances: Vec<Advance>,
    skipped: Skipped,
}

impl Moves {
    /// The types that wait come first: whoever takes one off the list locks it before positions.
    async fn run(&self, connection: &mut PgConnection, owner: &Owner) -> Result<(), PersistError> {
        park(connection, &self.skipped).await?;
        let is_ours = advance(connection, owner, &self.advances).await?;
        if is_ours { Ok(()) } else { Err(PersistError::Fenced) }
    }
}

impl Running<'_> {
    /// Applies fetched records, again and again until it succeeds or the positions turn out to be
    /// elsewhere.
    pub(crate) async fn persist(
        &mut self,
        Batch { records: mut fetched, mut decoded }: Batch,
        inbox: &mut Inbox,
    ) -> Result<(), PersistError> {
        let started = Instant::now();
        loop {
            let decoder = self.decoder();
            let applied = self.apply(&fetched, decoded.take());
            match inbox.while_works(&decoder, applied).await {
                Ok(()) => break self.backoff.reset(),
                Err(error) if chassis::ExitKind::is_final(&error) => return Err(error),
                Err(error) => {
                    self.trouble.tell(&error);
                    self.connection = None;
                    self.lane.types.forget();
                    tokio::time::sleep(self.backoff.next_delay()).await;
                    if self.read_again(partitions(&fetched)).await {
                        return Ok(());
                    }
                    // Some steps may have been committed.
                    fetched.retain(|record| self.is_next(record));
                }
            }
        }
        self.trouble.end();
        let label = LaneLabel { lane: self.lane.name };
        let seconds = started.elapsed().as_secs_f64();
        // The lane's: it is busy all the time when all of its connections are.
        let of_lane = seconds / self.lane.progress.connections().max(1) as f64;
        self.lane.metrics.busy.get_or_create(&label).inc_by(of_lane);
        self.lane.metrics.batch_duration.get_or_create(&label).observe(seconds);
        Ok(())
    }

    async fn apply(
        &mut self,
        fetched: &[Incoming],
        decoded: Option<(Arc<Known>, Decoded)>,
    ) -> Result<(), PersistError> {
        let decoded = match decoded {
            Some((known, decoded)) if Arc::ptr_eq(&known, self.lane.types.known()) => decoded,
            _ => {
                self.look_up_schemas(fetched).await?;
                self.decoder().decode(fetched)
            }
        };
        let decoded =
            if self.meet(&decoded.unmet).await? { self.decoder().decode(fetched) } else { decoded };
        let Decoded { mut steps, rejected, waiting, .. } = decoded;
        self.bury(fetched, &rejected).await?;
        self.prepare(&mut steps).await?;
        let licence = self.licence(fetched, &waiting).await?;
        let mut done = 0;
        for step in &steps {
            if step.end > done {
                let moves = self.moves(&fetched[done..step.end], (&waiting, done));
                self.apply_step(fetched, step, (&moves, &licence)).await?;
                done = step.end;
            }
        }
        let sources = self.seen.due(sources(&steps));
        steps.into_iter().for_each(|step| self.keep(step.work));
        Ok(remember(self.connect().await?, &sources).await?)
    }

    fn decoder(&self) -> Decoder {
        let history = self.lane.name.history().map(|kind| (kind, self.lane.history));
        let known = Arc::clone(self.lane.types.known());
        Decoder { known, history, spare: Arc::clone(&self.spare) }
    }

    fn keep(&self, work: Work) {
        if let Work::Changes(batches) = work {
            batches.into_values().for_each(|batch| self.spare.keep(batch));
        }
    }

    /// Makes what rows need and what must not wait for the end of their transaction.
    async fn prepare(&mut self, steps: &mut [Step]) -> Result<(), PersistError> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        for step in steps {
            if let Work::History(batch) = &mut step.work {
                self.known.prepare(connection, batch).await?;
            }
        }
        Ok(())
    }

    async fn look_up_schemas(&mut self, fetched: &[Incoming]) -> Result<(), PersistError> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        Ok(self.lane.types.look_up_all(connection, fetched).await?)
    }

    async fn meet(&mut self, unmet: &BTreeSet<TypeName>) -> Result<bool, PersistError> {
        if unmet.is_empty() {
            return Ok(false);
        }
        self.connect().await?;
        let Some(connection) = &mut self.connection else { return Ok(false) };
        Ok(self.lane.types.meet(connection, unmet).await?)
    }

    async fn bury(
        &mut self,
        fetched: &[Incoming],
        rejected: &[Rejected],
    ) -> Result<(), PersistError> {
        let is_new = |reject: &&Rejected| !self.buried.contains(&fetched[reject.origin].place());
        let rejected: Vec<&Rejected> = rejected.iter().filter(is_new).collect();
        for reject in &rejected {
            let record = &fetched[reject.origin];
            tracing::warn!(
                topic = self.lane.owner.topic,
                partition = record.partition.0,
                offset = record.offset.0,
                class = reject.class.name(),
                "dead letter: {}",
                reject.message
            );
            let label = ClassLabel { class: reject.class.name() };
            self.lane.metrics.dead_letters.get_or_create(&label).inc();
        }
        self.lane.dead_letters.send(&self.lane.owner.topic, fetched, &rejected).await?;
        self.buried.extend(rejected.iter().map(|reject| fetched[reject.origin].place()));
        Ok(())
    }

    /// The licence: the live lane is caught up with what was there after the last record of this
    /// batch was fetched.
    async fn licence(
        &mut self,
        fetched: &[Incoming],
        waiting: &[(usize, Arc<Waiting>)],
    ) -> Result<Licence, PersistError> {
        if self.lane.name != LaneName::Snapshot {
            return Ok(Licence::default());
        }
        let live = self.lane.live.clone();
        let licence = Licence::of(self.connect().await?, &live, partitions(fetched)).await?;
        Ok(licence.without(waiting.iter().map(|(_, waiting)| &waiting.entity_type)))
    }

    async fn apply_step(
        &mut self,
        fetched: &[Incoming],
        step: &Step,
        (moves, licence): (&Moves, &Licence),
    ) -> Result<(), PersistError> {
        let counts = match self.try_step(moves, step, licence).await {
            Err(PersistError::Rows(InventoryError::KeysExist(_))) => {
                self.try_step(moves, step, licence).await?
            }
            Err(error) if error.refusal().is_some() => {
                self.isolate_step(moves, step, fetched).await?
            }
            other => other?,
        };
        self.committed(&moves.advances, counts, step);
        Ok(())
    }

    async fn try_step(
        &mut self,
        moves: &Moves,
        step: &Step,
        licence: &Licence,
    ) -> Result<Counts, PersistError> {
        let tables = step.work.tables(self.lane.types.known());
        let owner = self.lane.owner.clone();
        let mut transaction = self.connect().await?.begin().await?;
        moves.run(&mut transaction, &owner).await?;
        let counts = step::apply(&mut transaction, &step.work, &tables, licence).await?;
        transaction.commit().await?;
        Ok(counts)
    }

    /// The same without the records that PostgreSQL refuses, which are dead letters before the
    /// transaction ends.
    async fn isolate_step(
        &mut self,
        moves: &Moves,
        step: &Step,
        fetched: &[Incoming],
    ) -> Result<Counts, PersistError> {
        let tables = step.work.tables(self.lane.types.known());
        self.connect().await?;
        let mut connection = self.connection.take().expect("connected just above");
        let mut transaction = connection.begin().await?;
        moves.run(&mut transaction, &self.lane.owner).await?;
        let isolated = isolate(&mut transaction, step, &tables).await?;
        self.bury(fetched, &isolated.refused).await?;
        transaction.commit().await?;
        self.connection = Some(connection);
        Ok(isolated.counts)
    }

    /// How the positions move with these records, of which the first has the number `start`.
    fn moves(
        &self,
        records: &[Incoming],
        (waiting, start): (&[(usize, Arc<Waiting>)], usize),
    ) -> Moves {
        let waiting = waiting.iter().filter_map(|(origin, waiting)| {
            Some((records.get(origin.checked_sub(start)?)?, waiting))
        });
        let mut skipped = Skipped::new();
        let mut skipped_from = BTreeMap::new();
        for (record, waiting) in waiting {
            skipped.insert(waiting.entity_type.clone(), Arc::clone(waiting));
            skipped_from.entry(record.partition).or_insert(record.offset);
        }
        let last: BTreeMap<Partition, &Incoming> =
            records.iter().map(|record| (record.partition, record)).collect();
        let advance = |(partition, record): (Partition, &Incoming)| {
            Some(Advance {
                partition,
                expected: *self.expected.get(&partition)?,
                next: record.offset.next(),
                last: Some(Stamp::of(record)),
                skipped: skipped_from.get(&partition).copied(),
            })
        };
        let advances = last.into_iter().filter_map(advance).collect();
        Moves { advances, skipped }
    }

    fn committed(&mut self, advances: &[Advance], counts: Counts, step: &Step) {
        let label = LaneLabel { lane: self.lane.name };
        let metrics = &self.lane.metrics;
        metrics.records_applied.get_or_create(&label).inc_by(counts.applied);
        metrics.records_unchanged.get_or_create(&label).inc_by(counts.unchanged);
        metrics.rows_changed.get_or_create(&label).inc_by(counts.rows_changed);
        let now = Version::now();
        let ages = metrics.record_age.get_or_create(&label);
        versions(&step.work)
            .into_iter()
            .map(|version| version.age_seconds(now))
            .filter(|age| *age >= 0.0)
            .for_each(|age| ages.observe(age));
        drop(ages);
        self.moved(advances);
    }

    /// The positions are there now.
    pub(crate) fn moved(&mut self, advances: &[Advance]) {
        let next = || advances.iter().map(|a| (a.partition, a.next));
        self.expected.extend(next());
        self.buried.retain(|(partition, offset)| {
            self.expected.get(partition).is_some_and(|next| offset >= next)
        });
        self.lane.progress.applied(next());
        self.lane.group.commit(&self.lane.owner.topic, next().collect());
    }
}

/// The versions of a step's records; of events, when they happened.
fn versions(work: &Work) -> Vec<Version> {
    match work {
        Work::Changes(batches) => {
            batches.values().flat_map(plan::Batch::records).map(|r| r.version).collect()
        }
        Work::Extent(_) => Vec::new(),
        Work::History(batch) => batch.versions(),
    }
}

fn partitions(fetched: &[Incoming]) -> HashSet<Partition> {
    fetched.iter().map(|record| record.partition).collect()
}
