//! What the orchestrator is told: its default file is the documentation.

use crate::connections::Connections;
use chassis::{AdminSettings, Fields, LogSettings, Mistakes};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The commented default file, which names every key.
pub const DEFAULTS: &str = include_str!("defaults.yaml");

/// All settings of `orchestrator run`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What children are told.
    pub connections: Connections,
    /// How children run.
    pub process: ProcessSettings,
    /// When a child that runs is restarted.
    pub heartbeat: HeartbeatSettings,
    /// The section `log`.
    pub log: LogSettings,
    /// The section `admin`.
    pub admin: AdminSettings,
}

/// The section `process`.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// The folder of the programs, if it isn't the orchestrator's own.
    pub binaries: Option<PathBuf>,
    /// Logs, admin addresses and the status.
    pub log_folder: PathBuf,
    /// How often manifests are read.
    pub look_every: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_patience: Duration,
    /// The longest first wait before a restart.
    pub restart_delay_initial: Duration,
    /// The longest wait before a restart.
    pub restart_delay_max: Duration,
    /// After this time the next restart is a first one again.
    pub stable_after: Duration,
}

/// The section `heartbeat`.
#[derive(Debug, Clone)]
pub struct HeartbeatSettings {
    /// From one question to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many failures in a row are too many.
    pub failures_max: u32,
    /// How long the admin port may stay closed at first.
    pub start_patience: Duration,
    /// The resident memory that is too much.
    pub memory_mb_max: Option<u64>,
}

impl Settings {
    /// Default file, then `config_file`, then the environment.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn load(config_file: Option<&Path>) -> Result<Self, Mistakes> {
        let mut root = chassis::load(DEFAULTS, config_file)?;
        let settings = Self::read(&mut root);
        root.finish()?;
        Ok(settings.expect("a value is missing only with a mistake, which finish() tells"))
    }

    fn read(root: &mut Fields) -> Option<Self> {
        let connections = Connections::read(root);
        let process = ProcessSettings::read(&mut root.section("process"));
        let heartbeat = HeartbeatSettings::read(&mut root.section("heartbeat"));
        let (log, admin) = (LogSettings::read(root), AdminSettings::read(root));
        Some(Self {
            connections: connections?,
            process: process?,
            heartbeat: heartbeat?,
            log: log?,
            admin: admin?,
        })
    }
}

impl ProcessSettings {
    fn read(process: &mut Fields) -> Option<Self> {
        let binaries = process.optional("binaries");
        let log_folder = process.required("log_folder");
        let look_every = interval(process, "look_every");
        let stop_patience = process.duration("stop_patience");
        let restart_delay_initial = process.duration("restart_delay_initial");
        let restart_delay_max = process.duration("restart_delay_max");
        let stable_after = process.duration("stable_after");
        Some(Self {
            binaries,
            log_folder: log_folder?,
            look_every: look_every?,
            stop_patience: stop_patience?,
            restart_delay_initial: restart_delay_initial?,
            restart_delay_max: restart_delay_max?,
            stable_after: stable_after?,
        })
    }
}

impl HeartbeatSettings {
    fn read(heartbeat: &mut Fields) -> Option<Self> {
        let every = interval(heartbeat, "every");
        let timeout = heartbeat.duration("timeout");
        let failures_max = heartbeat.required::<std::num::NonZeroU32>("failures_max");
        let start_patience = heartbeat.duration("start_patience");
        let memory_mb_max = heartbeat.optional("memory_mb_max");
        Some(Self {
            every: every?,
            timeout: timeout?,
            failures_max: failures_max?.get(),
            start_patience: start_patience?,
            memory_mb_max,
        })
    }
}

/// A duration above zero: a clock can't tick without a pause.
fn interval(fields: &mut Fields, key: &str) -> Option<Duration> {
    let duration = fields.duration(key)?;
    if duration.is_zero() {
        fields.mistake(key, "expected a duration above zero, such as 1s");
        return None;
    }
    Some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_names_every_key_and_every_key_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orchestrator.yaml");
        let text = "kafka: {bootstrap_servers: 'localhost:9092'}\nregistry: {url: 'http://r'}\n";
        std::fs::write(&file, text).unwrap();
        let mut root = chassis::load(DEFAULTS, Some(&file)).unwrap();
        assert!(Settings::read(&mut root).is_some());
        root.finish().unwrap();
    }
}
