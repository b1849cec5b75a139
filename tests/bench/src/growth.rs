//! Whether throughput and memory stay as they are while tables and the number of sources grow.

use crate::error::Error;
use crate::floor;
use crate::ours::{self, Backlog};
use crate::produce::{Form, Producer};
use crate::rig::{Rig, Rows, attributes, flat_table};
use crate::trial::Trial;
use records::Topic;
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;
use workloads::Workload;

/// Rows, in tenths of the suite's records, and sources.
const TABLES: [(u64, u64); 4] = [(1, 1), (10, 1), (100, 1), (10, 1_000)];

/// So large a table is loaded once: that takes longer than everything else.
const LARGE: u64 = 100;

/// The records that are applied to each are this part of the suite's: no more than the smallest
/// table has rows, because plain SQL updates a row once.
const PART: u64 = 10;

/// Runs of one kind on one table.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// What was done.
    pub workload: Workload,
    /// Rows of the table.
    pub rows: u64,
    /// How many sources they are of.
    pub sources: u64,
    /// The runs; of partial updates of one source, plain SQL's too.
    pub trials: Vec<Trial>,
}

impl Growth {
    /// Whether its ratio is to the other: the smallest table of one source, and of many sources
    /// as many rows of one.
    #[must_use]
    pub fn compares_with(&self, other: &Self) -> bool {
        let is_like =
            if self.sources == 1 { other.rows < self.rows } else { other.rows == self.rows };
        other.workload == self.workload && other.sources == 1 && is_like
    }
}

/// A table, and the topics from which it came.
struct Store {
    rows: Rows,
    prefix: String,
    objects: u64,
    sources: u64,
    snapshot: u64,
    live: u64,
}

/// Loads the tables in turns, and then does the same to all of them in turns.
///
/// # Errors
/// What stopped a persister, or that rows are wrong.
pub async fn measure(rig: &Rig, rounds: u32, say: fn(&str)) -> Result<Vec<Growth>, Error> {
    let (mut stores, mut loads) = (Vec::new(), TABLES.map(|_| Vec::new()));
    for round in 1..=rounds {
        for ((tenths, sources), trials) in TABLES.into_iter().zip(&mut loads) {
            if tenths == LARGE && round < rounds {
                continue;
            }
            let mut store = Store::new(rig, rig.records * tenths / 10, sources).await?;
            let trial = store.run(rig, Workload::Load, 0..store.objects).await?;
            say(&trial.line(round, &store.title(Workload::Load)));
            trials.push(trial);
            if round == rounds {
                stores.push(store);
            } else {
                rig.drop(store.rows.close().await?).await?;
            }
        }
    }
    let all = stores.iter().zip(loads);
    let mut growth: Vec<Growth> =
        all.map(|(store, trials)| store.growth(Workload::Load, trials)).collect();
    for workload in [Workload::Unchanged, Workload::Partial] {
        let mut trials: Vec<Vec<Trial>> = stores.iter().map(|_| Vec::new()).collect();
        for round in 1..=rounds {
            for (store, trials) in stores.iter_mut().zip(&mut trials) {
                let range = range(store.objects, rig.records / PART, round);
                let trial = store.run(rig, workload, range.clone()).await?;
                say(&trial.line(round, &store.title(workload)));
                trials.push(trial);
                if workload.is_partial() && store.sources == 1 {
                    let trial = store.floor(rig, workload, range).await?;
                    say(&trial.line(round, &store.title(workload)));
                    trials.push(trial);
                }
            }
        }
        let all = stores.iter().zip(trials);
        growth.extend(all.map(|(store, trials)| store.growth(workload, trials)));
    }
    for store in stores {
        rig.drop(store.rows.close().await?).await?;
    }
    Ok(growth)
}

fn wrong(
    trial: &Trial,
    (workload, found, wanted): (Workload, impl ToString, impl ToString),
) -> Error {
    let (contender, work) = (trial.contender.title(), workload.title());
    Error::Wrong { contender, work, found: found.to_string(), wanted: wanted.to_string() }
}

/// The last so many of a pass over all objects; each round's is a pass of its own.
fn range(objects: u64, records: u64, round: u32) -> Range<u64> {
    let end = objects * u64::from(round);
    end - records..end
}

impl Store {
    async fn new(rig: &Rig, objects: u64, sources: u64) -> Result<Self, Error> {
        let prefix = format!("growth-{}.", rig.next());
        rig.make_topics(&prefix).await?;
        let rows = rig.new_database(true).await?;
        Ok(Self { rows, prefix, objects, sources, snapshot: 0, live: 0 })
    }

    /// Sends some of a workload's records and applies them. What they leave behind is cleaned up
    /// afterwards, as autovacuum would.
    async fn run(
        &mut self,
        rig: &Rig,
        workload: Workload,
        range: Range<u64>,
    ) -> Result<Trial, Error> {
        let (topic, records) = (workload.lane(), range.end - range.start);
        let producer = Producer::new(rig, Form::Ours, topic.name(&self.prefix)).await?;
        let items = workload.part(self.objects, range.clone(), rig.epoch);
        producer.of_sources(self.sources).send_all(items, workload.is_partial()).await?;
        let wanted = self.expect(rig, workload, range);
        let before =
            if topic == Topic::InventoryLive { &mut self.live } else { &mut self.snapshot };
        let (prefix, applied) = (self.prefix.clone(), *before);
        *before += records;
        let backlog = Backlog { prefix, topic, applied, records, each: 1 };
        let trial = ours::apply(rig, &backlog, &mut self.rows).await?;
        if trial.rows != wanted {
            return Err(wrong(&trial, (workload, &trial.rows, &wanted)));
        }
        self.rows.run("VACUUM ANALYZE inventory_all.bench_vm").await?;
        Ok(trial)
    }

    /// The same records by plain SQL, in a table of as many rows.
    async fn floor(
        &mut self,
        rig: &Rig,
        workload: Workload,
        range: Range<u64>,
    ) -> Result<Trial, Error> {
        if self.rows.number("SELECT count(to_regclass('vm'))").await? == 0 {
            let (attributes, epoch) = (attributes().join(", "), rig.epoch.micros());
            let fill = format!(
                "INSERT INTO vm (source, native_id, version, {attributes}) \
                 SELECT 'bench', native_id, {epoch}, {attributes} FROM inventory_all.bench_vm \
                 ORDER BY native_id"
            );
            self.rows.run(&flat_table()).await?;
            self.rows.run(&fill).await?;
        }
        self.rows.run("VACUUM ANALYZE vm").await?;
        let records = range.end - range.start;
        let since = workload.first_version(rig.epoch).plus(Duration::from_micros(range.start));
        floor::prepare(rig, workload, workload.part(self.objects, range, rig.epoch))?;
        let trial = floor::run(rig, workload, (records, &mut self.rows)).await?;
        let new = format!("SELECT count(*) FROM vm WHERE version >= {}", since.micros());
        let new = self.rows.number(&new).await?.cast_unsigned();
        if new == records { Ok(trial) } else { Err(wrong(&trial, (workload, new, records))) }
    }

    /// Partial updates are newer than their objects; a checksum of ten million rows would take
    /// longer than everything else.
    fn expect(&mut self, rig: &Rig, workload: Workload, range: Range<u64>) -> String {
        let (since, new) = if workload.is_partial() {
            let first = workload.first_version(rig.epoch);
            let since = first.plus(Duration::from_micros(range.start));
            (since, (range.end - range.start).min(self.objects))
        } else {
            (Workload::Load.first_version(rig.epoch), self.objects)
        };
        self.rows.judge_by(&format!(
            "SELECT count(*) FILTER (WHERE version >= {}) || ' new of ' || count(*) || ' rows' \
             FROM inventory.bench_vm",
            since.micros()
        ));
        format!("{new} new of {} rows", self.objects)
    }

    fn growth(&self, workload: Workload, trials: Vec<Trial>) -> Growth {
        Growth { workload, rows: self.objects, sources: self.sources, trials }
    }

    fn title(&self, workload: Workload) -> String {
        format!("{}, {} rows, {} sources", workload.title(), self.objects, self.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_records_of_its_own() {
        assert_eq!((range(10, 2, 1), range(10, 2, 2)), (8..10, 18..20));
    }
}
