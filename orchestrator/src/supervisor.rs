//! The loop: read the manifests, decide, start and stop processes, tell how it stands.

use crate::Error;
use crate::connections::Connections;
use crate::manifest;
use crate::process::{self, Ended, Process, Processes};
use crate::reconcile::{Action, Ending, Phase, Slot, Slots, after, decide};
use crate::settings::{ProcessSettings, Settings};
use crate::status::{Metrics, Status, WorkerStatus, state};
use crate::worker::Desired;
use chassis::{Backoff, Health, Mistakes};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const MANIFESTS: &str = "manifests";

/// Keeps the workers of the manifests running.
pub struct Supervisor {
    settings: ProcessSettings,
    connections: Connections,
    files: Vec<PathBuf>,
    health: Health,
    metrics: Metrics,
    processes: Processes,
    desired: Desired,
    slots: Slots,
    histories: BTreeMap<String, History>,
    told: Option<Mistakes>,
    written: Option<Status>,
}

/// What the loop remembers of a worker beside its slot.
struct History {
    process: Option<Process>,
    started: Instant,
    backoff: Backoff,
    restarts: u32,
    last_end: Option<String>,
}

/// Why the loop wakes.
enum Wake {
    Ended(Ended),
    Tick,
    Stop,
}

impl Supervisor {
    /// Reads the manifests; nothing runs yet.
    ///
    /// # Errors
    /// Mistakes in manifests, or a log folder that can't be made.
    pub async fn new(
        settings: &Settings,
        files: Vec<PathBuf>,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let desired = desired(&files, &settings.connections)?;
        let folder = &settings.process.log_folder;
        let log_folder = |source| Error::LogFolder { path: folder.clone(), source };
        std::fs::create_dir_all(folder).map_err(log_folder)?;
        // Children run in the same folder, but an absolute path makes a better message.
        let mut settings = settings.clone();
        settings.process.log_folder = folder.canonicalize().map_err(log_folder)?;
        let binaries = process::binaries(settings.process.binaries.as_deref());
        let processes = Processes::new(settings.clone(), binaries.map_err(Error::Binaries)?).await;
        health.ready(MANIFESTS, Ok(()));
        Ok(Self {
            settings: settings.process,
            connections: settings.connections,
            files,
            health,
            metrics,
            processes,
            desired,
            slots: Slots::new(),
            histories: BTreeMap::new(),
            told: None,
            written: None,
        })
    }

    /// Until `stop`, and then until all workers have ended. Call it on the main thread: its end
    /// must be the end of this process, see [`Processes::start`].
    ///
    /// # Errors
    /// When the status can't be written.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(self.settings.look_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        while !(stopping && self.slots.is_empty()) {
            let wake = tokio::select! {
                ended = self.processes.next_ended() => Wake::Ended(ended),
                () = stop.cancelled(), if !stopping => Wake::Stop,
                _ = ticks.tick() => Wake::Tick,
            };
            match wake {
                Wake::Ended(ended) => self.record(&ended),
                Wake::Tick if !stopping => self.look(),
                Wake::Tick => {}
                Wake::Stop => {
                    stopping = true;
                    self.desired.clear();
                }
            }
            self.reconcile();
            self.tell()?;
        }
        Ok(())
    }

    /// What can't be read is told once and changes nothing.
    fn look(&mut self) {
        match desired(&self.files, &self.connections) {
            Ok(desired) => {
                self.desired = desired;
                self.told = None;
                self.health.ready(MANIFESTS, Ok(()));
            }
            Err(mistakes) if self.told.as_ref() == Some(&mistakes) => {}
            Err(mistakes) => {
                tracing::error!("the workers stay as they are until this is mended: {mistakes}");
                self.health.ready(MANIFESTS, Err(mistakes.to_string()));
                self.told = Some(mistakes);
            }
        }
    }

    fn reconcile(&mut self) {
        for action in decide(&self.desired, &self.slots, Instant::now()) {
            match action {
                Action::Start(name) => self.start(name),
                Action::Stop(name) => self.stop(&name),
                Action::Forget(name) => self.forget(&name),
            }
        }
    }

    fn start(&mut self, name: String) {
        let Some(worker) = self.desired.get(&name).cloned() else { return };
        let changed =
            self.slots.get(&name).is_some_and(|old| old.fingerprint != worker.fingerprint);
        if changed {
            self.forget(&name);
        }
        let settings = &self.settings;
        let history = self.histories.entry(name.clone()).or_insert_with(|| History::new(settings));
        if self.slots.contains_key(&name) {
            history.restarts += 1;
            self.metrics.restarts.inc();
        }
        history.started = Instant::now();
        let phase = match self.processes.start(&name, &worker) {
            Ok(process) => {
                tracing::info!(worker = name, pid = process.pid, "started");
                history.process = Some(process);
                Phase::Running
            }
            Err(error) => {
                let reason = format!("can't start its {}: {error}", worker.program);
                tracing::error!(worker = name, "{reason}");
                history.last_end = Some(reason);
                Phase::Waiting { until: Instant::now() + history.backoff.next_delay() }
            }
        };
        let (program, fingerprint) = (worker.program, worker.fingerprint);
        self.slots.insert(name, Slot { program, fingerprint, phase });
    }

    fn stop(&mut self, name: &str) {
        tracing::info!(worker = name, "stopping");
        if let Some(slot) = self.slots.get_mut(name) {
            slot.phase = Phase::Stopping;
        }
        if let Some(process) = self.histories.get(name).and_then(|old| old.process.as_ref()) {
            process.stop.cancel();
        }
    }

    fn forget(&mut self, name: &str) {
        self.slots.remove(name);
        self.histories.remove(name);
    }

    fn record(&mut self, ended: &Ended) {
        let name = &ended.name;
        let (Some(slot), Some(history)) = (self.slots.get_mut(name), self.histories.get_mut(name))
        else {
            return;
        };
        history.process = None;
        if history.started.elapsed() >= self.settings.stable_after {
            history.backoff.reset();
        }
        let phase = after(slot.phase, ended.ending(), Instant::now(), history.backoff.next_delay());
        let Some(phase) = phase else {
            tracing::info!(worker = name, "stopped");
            return self.forget(name);
        };
        slot.phase = phase;
        let reason = ended.reason();
        match phase {
            Phase::Held => tracing::error!(
                worker = name,
                "held until its manifest, or a file named there or in the orchestrator's settings, \
                changes, or the orchestrator is restarted: {reason}"
            ),
            _ => tracing::warn!(worker = name, "to be started again: {reason}"),
        }
        history.last_end = Some(reason);
    }

    /// Writes the status if it has changed.
    fn tell(&mut self) -> Result<(), Error> {
        let status = self.status();
        self.metrics.count(&status);
        if self.written.as_ref() != Some(&status) {
            let folder = &self.settings.log_folder;
            let error = |source| Error::Status { path: folder.clone(), source };
            status.write(folder).map_err(error)?;
            self.written = Some(status);
        }
        Ok(())
    }

    fn status(&self) -> Status {
        let worker = |(name, slot): (&String, &Slot)| {
            let history = self.histories.get(name)?;
            let status = WorkerStatus {
                state: state(slot.phase).to_owned(),
                pid: history.process.as_ref().map(|process| process.pid),
                restarts: history.restarts,
                last_end: history.last_end.clone(),
            };
            Some((name.clone(), status))
        };
        Status { pid: std::process::id(), workers: self.slots.iter().filter_map(worker).collect() }
    }
}

/// What the manifests want, with the files that the connections name.
fn desired(files: &[PathBuf], connections: &Connections) -> Result<Desired, Mistakes> {
    let mut desired = manifest::load(files)?;
    connections.stamp(&mut desired);
    Ok(desired)
}

impl History {
    fn new(settings: &ProcessSettings) -> Self {
        let backoff = Backoff::new(settings.restart_delay_initial, settings.restart_delay_max);
        Self { process: None, started: Instant::now(), backoff, restarts: 0, last_end: None }
    }
}

impl Ended {
    fn ending(&self) -> Ending {
        let code = self.status.as_ref().ok().and_then(std::process::ExitStatus::code);
        if code == Some(i32::from(chassis::exit::FINAL)) { Ending::Final } else { Ending::Other }
    }

    fn reason(&self) -> String {
        let status = match &self.status {
            Ok(status) => status.to_string(),
            Err(error) => format!("how it ended is unknown ({error})"),
        };
        let why = self.sick.clone().unwrap_or_else(|| self.log.quote());
        format!("{status}: {why}")
    }
}

#[cfg(test)]
mod tests;
