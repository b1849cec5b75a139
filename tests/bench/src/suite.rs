//! Which runs there are, in which order, from which rows.

use crate::error::Error;
use crate::flood::{self, Case};
use crate::freshness::{self, Beside, Freshness, HIGH_RATE, RATE};
use crate::peers::Peer;
use crate::produce::{self, Form};
use crate::report::{Race, Report};
use crate::rig::{Closed, Rig};
use crate::trial::{Trial, compare};
use crate::{floor, growth, metrics, ours, recovery};
use clap::ValueEnum;
use workloads::Workload;

/// A part of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Our decoder and apache-avro, on the same records; alone it needs no servers
    Decoding,
    /// The workloads, by all contenders in turns
    Workloads,
    /// Samples, by the floor and ours in turns
    Metrics,
    /// Ours, killed and started again
    Recovery,
    /// Ours, on tables of different size
    Growth,
    /// How long live changes take
    Freshness,
}

/// What is to be measured.
#[derive(Debug)]
pub struct Suite {
    /// The parts.
    pub parts: Vec<Part>,
    /// The workloads of that part.
    pub workloads: Vec<Workload>,
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
    digest: String,
}

impl Suite {
    /// Runs everything; `say` is given a line for each step.
    ///
    /// # Errors
    /// The first failure, also when somebody's rows are wrong.
    pub async fn run(&self, say: fn(&str)) -> Result<Report, Error> {
        let mut report = Report { records: self.records, rounds: self.rounds, ..Report::default() };
        if self.has(Part::Decoding) {
            say("decoding, in turns with apache-avro");
            report.decoding = decoding::measure();
        }
        if self.parts == [Part::Decoding] {
            return Ok(report);
        }
        say("starting Kafka, registry and PostgreSQL");
        let rig = Rig::start(self.records).await?;
        say(&format!("logs are in {}", rig.world.folder().display()));
        if self.has(Part::Metrics) {
            report.metrics = metrics::measure(&rig, self.rounds, say).await?;
        }
        if self.has(Part::Growth) {
            report.growth = growth::measure(&rig, self.rounds, say).await?;
        }
        let loaded = [Part::Workloads, Part::Recovery, Part::Freshness];
        if loaded.into_iter().any(|part| self.has(part)) {
            self.of_loaded(&rig, &mut report, say).await?;
        }
        Ok(report)
    }

    /// What begins with rows, or needs their records.
    async fn of_loaded(&self, rig: &Rig, report: &mut Report, say: fn(&str)) -> Result<(), Error> {
        self.fill(rig, Workload::Load).await?;
        let loaded = load(rig).await?;
        if self.has(Part::Workloads) {
            report.throughput = self.races(rig, &loaded, say).await?;
        }
        if self.has(Part::Recovery) {
            report.recovery = recovery::measure(rig, &loaded.digest, self.rounds, say).await?;
        }
        if self.has(Part::Freshness) {
            report.freshness = self.delays(rig, &loaded, say).await?;
        }
        Ok(())
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    async fn races(&self, rig: &Rig, loaded: &Loaded, say: fn(&str)) -> Result<Vec<Race>, Error> {
        let mut races = Vec::new();
        for workload in self.workloads.iter().copied() {
            if workload != Workload::Load {
                self.fill(rig, workload).await?;
            }
            let mut trials = Vec::new();
            for round in 1..=self.rounds {
                for runner in self.runners(workload) {
                    let trial = one(rig, loaded, &runner, workload).await?;
                    say(&trial.line(round, workload.title()));
                    trials.push(trial);
                }
            }
            compare(workload.title(), &trials)?;
            races.push(Race { workload, trials });
        }
        Ok(races)
    }

    async fn delays(
        &self,
        rig: &Rig,
        loaded: &Loaded,
        say: fn(&str),
    ) -> Result<Vec<Freshness>, Error> {
        let mut delays = Vec::new();
        let mut found = |found: Freshness| {
            say(&found.line());
            delays.push(found);
        };
        for (beside, rate) in
            [(Beside::Nothing, RATE), (Beside::Nothing, HIGH_RATE), (Beside::Snapshot, RATE)]
        {
            found(freshness::ours(rig, &loaded.ours, (beside, rate)).await?);
        }
        for case in Case::ALL {
            found(flood::ours(rig, &loaded.ours, case).await?);
        }
        for peer in &self.peers {
            found(freshness::peer(rig, &loaded.flat, peer).await?);
        }
        Ok(delays)
    }

    /// Who does a workload, in the order of their turns.
    fn runners(&self, workload: Workload) -> Vec<Runner<'_>> {
        let peers = self.peers.iter().filter(|peer| peer.can(workload));
        [Runner::Floor, Runner::Ours].into_iter().chain(peers.map(Runner::Peer)).collect()
    }

    /// Writes what the contenders read.
    async fn fill(&self, rig: &Rig, workload: Workload) -> Result<(), Error> {
        floor::prepare(rig, workload, workload.items(rig.records, rig.epoch))?;
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
    let digest = ours::run(rig, Workload::Load, &mut ours).await?.rows;
    let mut flat = rig.new_database(false).await?;
    floor::run(rig, Workload::Load, (rig.records, &mut flat)).await?;
    for rows in [&mut ours, &mut flat] {
        rows.run("VACUUM ANALYZE").await?;
    }
    Ok(Loaded { ours: ours.close().await?, flat: flat.close().await?, digest })
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
        Runner::Floor => floor::run(rig, workload, (rig.records, &mut rows)).await,
        Runner::Ours => ours::run(rig, workload, &mut rows).await,
        Runner::Peer(peer) => peer.run(rig, workload, &mut rows).await,
    };
    rig.drop(rows.close().await?).await?;
    trial
}
