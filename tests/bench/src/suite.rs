//! Which runs there are, in which order, from which rows.

use crate::error::Error;
use crate::freshness::{self, Freshness};
use crate::peers::Peer;
use crate::produce::{self, Form};
use crate::report::Report;
use crate::rig::{Closed, Rig};
use crate::trial::Trial;
use crate::workload::Workload;
use crate::{decode, floor, ours};

/// What is to be measured.
#[derive(Debug)]
pub struct Suite {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// Whether to measure how long a live change takes.
    pub freshness: bool,
    /// Whom to measure beside ours and the floor.
    pub peers: Vec<Peer>,
    /// Records of each workload.
    pub records: u64,
    /// How often each contender does each workload.
    pub rounds: u32,
}

/// Databases that hold all objects as the load has left them.
struct Loaded {
    ours: Closed,
    flat: Closed,
}

impl Suite {
    /// Runs everything; `say` is given a line for each step.
    ///
    /// # Errors
    /// The first failure, also when somebody's rows are wrong.
    pub async fn run(&self, say: fn(&str)) -> Result<Report, Error> {
        say("decoding, in turns with apache-avro");
        let decoding = decode::measure();
        say("starting Kafka, registry and PostgreSQL");
        let rig = Rig::start(self.records).await?;
        say(&format!("logs are in {}", rig.world.folder().display()));
        self.fill(&rig, Workload::Load).await?;
        let loaded = load(&rig).await?;
        let mut trials = Vec::new();
        for workload in &self.workloads {
            if *workload != Workload::Load {
                self.fill(&rig, *workload).await?;
            }
            for round in 1..=self.rounds {
                for runner in self.runners(*workload) {
                    let trial = one(&rig, &loaded, &runner, *workload).await?;
                    say(&line(round, &trial));
                    trials.push(trial);
                }
            }
            compare(&trials, *workload)?;
        }
        let delays = if self.freshness { self.delays(&rig, &loaded, say).await? } else { vec![] };
        Ok(Report::new((self.records, self.rounds), decoding, trials, delays))
    }

    async fn delays(
        &self,
        rig: &Rig,
        loaded: &Loaded,
        say: fn(&str),
    ) -> Result<Vec<Freshness>, Error> {
        let mut delays = Vec::new();
        for flooded in [false, true] {
            delays.push(freshness::ours(rig, &loaded.ours, flooded).await?);
        }
        for peer in &self.peers {
            delays.push(freshness::peer(rig, &loaded.flat, peer).await?);
        }
        delays.iter().for_each(|found| say(&format!("{found:?}")));
        Ok(delays)
    }

    /// Who does a workload, in the order of their turns.
    fn runners(&self, workload: Workload) -> Vec<Runner<'_>> {
        let peers = self.peers.iter().filter(|peer| peer.can(workload));
        [Runner::Floor, Runner::Ours].into_iter().chain(peers.map(Runner::Peer)).collect()
    }

    /// Writes what the contenders read.
    async fn fill(&self, rig: &Rig, workload: Workload) -> Result<(), Error> {
        floor::prepare(rig, workload)?;
        produce::fill(rig, workload, Form::Ours).await?;
        if self.peers.iter().any(|peer| peer.can(workload)) {
            produce::fill(rig, workload, Form::Flat).await?;
        }
        Ok(())
    }
}

/// Whose turn it is.
enum Runner<'a> {
    Floor,
    Ours,
    Peer(&'a Peer),
}

/// The rows that all workloads but the load begin with.
async fn load(rig: &Rig) -> Result<Loaded, Error> {
    let mut ours = rig.new_database(true).await?;
    ours::run(rig, Workload::Load, &mut ours).await?;
    let mut flat = rig.new_database(false).await?;
    floor::run(rig, Workload::Load, &mut flat).await?;
    for rows in [&mut ours, &mut flat] {
        rows.run("VACUUM ANALYZE").await?;
    }
    Ok(Loaded { ours: ours.close().await?, flat: flat.close().await? })
}

async fn one(
    rig: &Rig,
    loaded: &Loaded,
    runner: &Runner<'_>,
    workload: Workload,
) -> Result<Trial, Error> {
    let is_ours = matches!(runner, Runner::Ours);
    let mut rows = if workload.starts_loaded() {
        rig.copy_of(if is_ours { &loaded.ours } else { &loaded.flat }).await?
    } else {
        rig.new_database(is_ours).await?
    };
    let trial = match runner {
        Runner::Floor => floor::run(rig, workload, &mut rows).await,
        Runner::Ours => ours::run(rig, workload, &mut rows).await,
        Runner::Peer(peer) => peer.run(rig, workload, &mut rows).await,
    };
    rig.drop(rows.close().await?).await?;
    trial
}

/// Nobody's speed counts whose rows are not those of the floor, or else of whoever ran first.
fn compare(trials: &[Trial], workload: Workload) -> Result<(), Error> {
    let mut runs = trials.iter().filter(|trial| trial.workload == workload);
    let Some(first) = runs.next() else { return Ok(()) };
    match runs.find(|trial| trial.rows != first.rows) {
        None => Ok(()),
        Some(other) => Err(Error::Wrong {
            contender: other.contender.title(),
            workload: workload.title(),
            found: other.rows.clone(),
            wanted: first.rows.clone(),
        }),
    }
}

fn line(round: u32, trial: &Trial) -> String {
    format!(
        "round {round}: {}, {}: {:.0} records/s, CPU s per million: client {:.1}, \
         PostgreSQL {:.1}, Kafka {:.1}; peak {:.0} MiB; WAL {:.1} B/record; others {:.1} s{}",
        trial.workload.title(),
        trial.contender.title(),
        trial.rate,
        trial.client_cpu,
        trial.postgres_cpu,
        trial.kafka_cpu,
        trial.peak_mib.unwrap_or_default(),
        trial.wal_bytes,
        trial.others_cpu,
        if trial.is_disturbed() { " (disturbed)" } else { "" }
    )
}
