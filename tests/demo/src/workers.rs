//! The orchestrator of the demo, and what it and its workers say of themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::Error;
use harness::{ProcessId, Program, http_get};

/// From SIGTERM until all workers have ended.
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// The manifests of the demo.
const MANIFEST: &str = "../../deploy/examples/demo.yaml";

/// The orchestrator that runs the workers of the demo.
pub struct Workers {
    orchestrator: Program,
    logs: PathBuf,
}

/// What the orchestrator writes to `status.json`, as far as it is shown.
#[derive(Default, Deserialize)]
struct Status {
    workers: BTreeMap<String, Worker>,
}

#[derive(Deserialize)]
struct Worker {
    state: String,
    pid: Option<i32>,
    restarts: u32,
    last_end: Option<String>,
}

impl Workers {
    /// Starts the orchestrator, which starts the workers; all log in `logs`.
    pub fn start(variables: &[(&'static str, String)], logs: &Path) -> Result<Self, Error> {
        // What an earlier demo left would be taken for news.
        let _ = fs::remove_file(logs.join("status.json"));
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(MANIFEST);
        let orchestrator =
            Program::of_workspace("orchestrator", logs.join("orchestrator.log"), |command| {
                command.arg("run").arg("-f").arg(manifest);
                command.envs(variables.iter().map(|(name, value)| (name, value)));
                // Another inventory than last time is meant: the guard need not ask for long.
                command.env("TRIBUTARY_COLLECTOR__SECOND_LISTING_AFTER", "3s");
                command.env("TRIBUTARY_PROCESS__LOG_FOLDER", logs)
            })?;
        Ok(Self { orchestrator, logs: logs.to_path_buf() })
    }

    /// Stops all, in the orchestrator's order.
    pub async fn stop(&self) -> Result<(), Error> {
        self.orchestrator.terminate();
        Ok(self.orchestrator.wait(STOP_PATIENCE).await.map(drop)?)
    }

    /// A line for each worker.
    pub fn lines(&self) -> Vec<String> {
        self.status().workers.iter().map(|(name, worker)| line(name, worker)).collect()
    }

    /// Whether all can go on.
    ///
    /// # Errors
    /// [`Error::Held`] for one that waits for a person, [`Error::Orchestrator`] if that has ended.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(status) = self.orchestrator.status() {
            let log = self.orchestrator.log().to_path_buf();
            return Err(Error::Orchestrator { status, log });
        }
        let held = self.status().workers.into_iter().find(|(_, worker)| worker.state == "held");
        held.map_or(Ok(()), |(name, worker)| {
            let reason = worker.last_end.unwrap_or_default();
            Err(Error::Held { worker: name, reason })
        })
    }

    /// Records that wait on Kafka, live and snapshot, as the persisters' metrics tell.
    pub async fn lag(&self) -> Option<(u64, u64)> {
        let mut total = None;
        for name in self.status().workers.keys().filter(|name| name.starts_with("persister-")) {
            let address = fs::read_to_string(self.logs.join(format!("{name}.address"))).ok()?;
            let metrics = http_get(address.trim(), "/metrics").await.ok()?;
            let (live, snapshot) = lag_of(&metrics)?;
            let (live_before, snapshot_before) = total.unwrap_or_default();
            total = Some((live_before + live, snapshot_before + snapshot));
        }
        total
    }

    fn status(&self) -> Status {
        let text = fs::read(self.logs.join("status.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

fn line(name: &str, worker: &Worker) -> String {
    let memory = worker.pid.and_then(ProcessId::of).and_then(ProcessId::resident_kib);
    let memory = memory.map(|kib| format!(", {} MiB", kib / 1024)).unwrap_or_default();
    let restarts = match worker.restarts {
        0 => String::new(),
        restarts => format!(", started again {restarts} times"),
    };
    let reason = worker.last_end.as_ref().filter(|_| worker.pid.is_none());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{name}: {}{memory}{restarts}{reason}", worker.state)
}

/// The sums of `tributary_lag_records` over both lanes' partitions.
fn lag_of(metrics: &str) -> Option<(u64, u64)> {
    let lag = metrics.lines().filter_map(|line| line.strip_prefix("tributary_lag_records{"));
    let (mut sum, mut is_known) = ((0, 0), false);
    for (labels, value) in lag.filter_map(|line| line.rsplit_once("} ")) {
        let value: u64 = value.trim().parse().ok()?;
        is_known = true;
        if labels.contains("inventory.live\"") {
            sum.0 += value;
        } else {
            sum.1 += value;
        }
    }
    is_known.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_added_by_lane() {
        let metrics = "# TYPE tributary_lag_records gauge\n\
            tributary_lag_records{topic=\"tributary.inventory.live\",partition=\"0\"} 3\n\
            tributary_lag_records{topic=\"tributary.inventory.snapshot\",partition=\"0\"} 40\n\
            tributary_lag_records{topic=\"tributary.inventory.snapshot\",partition=\"1\"} 2\n";
        assert_eq!(lag_of(metrics), Some((3, 42)));
        assert_eq!(lag_of("# EOF\n"), None);
    }

    #[test]
    fn a_worker_that_is_held_says_why() {
        let worker = Worker {
            state: "held".to_owned(),
            pid: None,
            restarts: 2,
            last_end: Some("exit code 64".to_owned()),
        };
        assert_eq!(
            line("collector-a", &worker),
            "collector-a: held, started again 2 times: exit code 64"
        );
    }
}
