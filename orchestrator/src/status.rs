//! What the orchestrator tells people and dashboards about its workers.

use crate::reconcile::Phase;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

const STATES: [&str; 4] = ["running", "stopping", "waiting", "held"];

/// The file in the log folder.
const FILE: &str = "status.json";

/// All workers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The orchestrator's process.
    pub pid: u32,
    /// Its workers.
    pub workers: BTreeMap<String, WorkerStatus>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// `running`, `stopping`, `waiting` (for its next start) or `held` (until something changes).
    pub state: String,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// How often it was started again after it had died.
    pub restarts: u32,
    /// Why it last ended, and where to read more.
    pub last_end: Option<String>,
}

/// What `/metrics` tells.
#[derive(Debug, Default)]
pub struct Metrics {
    workers: Family<State, Gauge>,
    /// Starts of workers that had died.
    pub restarts: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl Status {
    /// Nobody ever sees half of the file.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let unfinished = folder.join("status.json.unfinished");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(unfinished, folder.join(FILE))
    }

    /// What was written last.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(FILE))?)?)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.workers.keys().map(String::len).max().unwrap_or(0).max("WORKER".len());
        writeln!(f, "{:width$}  {:8}  {:>7}  {:>8}", "WORKER", "STATE", "PID", "RESTARTS")?;
        for (name, worker) in &self.workers {
            let pid = worker.pid.map(|pid| pid.to_string()).unwrap_or_default();
            let (state, restarts) = (&worker.state, worker.restarts);
            writeln!(f, "{name:width$}  {state:8}  {pid:>7}  {restarts:>8}")?;
            if let Some(reason) = worker.last_end.as_ref().filter(|_| worker.pid.is_none()) {
                writeln!(f, "  {reason}")?;
            }
        }
        Ok(())
    }
}

impl Metrics {
    /// Makes them known under their names.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tributary_orchestrator_workers",
            "Workers by what they do now",
            metrics.workers.clone(),
        );
        registry.register(
            "tributary_orchestrator_restarts",
            "Starts of workers that had died",
            metrics.restarts.clone(),
        );
        metrics
    }

    /// Counts the workers of each state.
    pub fn count(&self, status: &Status) {
        for state in STATES {
            let count = status.workers.values().filter(|worker| worker.state == state).count();
            let gauge = self.workers.get_or_create(&State { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The name of a phase, one of [`STATES`].
pub(crate) const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => STATES[0],
        Phase::Stopping => STATES[1],
        Phase::Waiting { .. } => STATES[2],
        Phase::Held => STATES[3],
    }
}
