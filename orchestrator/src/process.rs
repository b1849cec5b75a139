//! The runtime `process`: workers as child processes of this one.

use crate::connections::Connections;
use crate::heartbeat;
use crate::log_file::LogFile;
use crate::settings::{DEFAULTS, Settings};
use crate::worker::{Program, Worker};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Starts child processes and tells when they have ended.
#[derive(Debug)]
pub struct Processes {
    settings: Settings,
    binaries: PathBuf,
    /// `setpriv` makes a child end when this process is killed.
    has_setpriv: bool,
    tasks: JoinSet<Ended>,
}

/// A process that runs.
#[derive(Debug)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Cancel it to end the process: SIGTERM, and SIGKILL when it takes too long.
    pub stop: CancellationToken,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The worker.
    pub name: String,
    /// How it ended.
    pub status: io::Result<ExitStatus>,
    /// Why it was told to end, if the heartbeat did that.
    pub sick: Option<String>,
    /// What it wrote.
    pub log: LogFile,
}

impl Processes {
    /// Nothing runs yet. `binaries` is the folder of the programs.
    pub async fn new(settings: Settings, binaries: PathBuf) -> Self {
        let test = Command::new("setpriv").args(["--pdeathsig", "TERM", "true"]).output().await;
        let has_setpriv = test.is_ok_and(|output| output.status.success());
        if !has_setpriv {
            tracing::warn!(
                "setpriv is missing: children would survive a kill -9; install util-linux"
            );
        }
        Self { settings, binaries, has_setpriv, tasks: JoinSet::new() }
    }

    /// Starts a worker's process. Call it on a thread that lives as long as this process does:
    /// Linux sends a child its death signal when the thread that started it ends.
    ///
    /// # Errors
    /// When the log can't be written or the program can't be started.
    pub fn start(&mut self, name: &str, worker: &Worker) -> io::Result<Process> {
        let folder = &self.settings.process.log_folder;
        let address_file = folder.join(format!("{name}.address"));
        // Usually there is none; one that stays is noticed by the heartbeat.
        let _ = std::fs::remove_file(&address_file);
        let log = LogFile::open(folder.join(format!("{name}.log")))?;
        let mut command = self.command(worker);
        command.env("TRIBUTARY_ADMIN__ADDRESS_FILE", &address_file);
        let child = command.stdout(log.writer()?).stderr(log.writer()?).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let stop = CancellationToken::new();
        let heartbeat = heartbeat::failure(self.settings.heartbeat.clone(), address_file, pid);
        let patience = self.settings.process.stop_patience;
        let (name, stopped) = (name.to_owned(), stop.clone());
        self.tasks.spawn(async move {
            let mut child = child;
            let sick = tokio::select! {
                status = child.wait() => return Ended { name, status, sick: None, log },
                () = stopped.cancelled() => None,
                reason = heartbeat => Some(reason),
            };
            terminate(&child);
            let status = match tokio::time::timeout(patience, child.wait()).await {
                Ok(status) => status,
                Err(_) => kill_now(&mut child).await,
            };
            Ended { name, status, sick, log }
        });
        Ok(Process { pid, stop })
    }

    /// The next process that ends; never, while none runs.
    pub async fn next_ended(&mut self) -> Ended {
        match self.tasks.join_next().await {
            Some(Ok(ended)) => ended,
            // The tasks are never aborted, so one that failed has panicked.
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }

    fn command(&self, worker: &Worker) -> Command {
        let program = self.binaries.join(worker.program.to_string());
        let mut command = if self.has_setpriv {
            let mut guarded = Command::new("setpriv");
            guarded.args(["--pdeathsig", "TERM", "--"]).arg(program);
            guarded
        } else {
            Command::new(program)
        };
        set_environment(&mut command, &self.settings.connections, worker.program);
        // A group of its own: Ctrl-C on the terminal is for us, who stop all in order.
        command.args(&worker.arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }
}

/// A child inherits the environment, but for what is meant for this program alone.
fn set_environment(command: &mut Command, connections: &Connections, program: Program) {
    for variable in own_variables().into_iter().chain(connections.names()) {
        command.env_remove(variable);
    }
    command.env_remove("DATABASE_URL").env("TRIBUTARY_ADMIN__LISTEN", "127.0.0.1:0");
    command.envs(connections.variables(program));
}

/// The variables of the sections that a child has no key for, or its own value.
fn own_variables() -> Vec<String> {
    let defaults: Value =
        serde_saphyr::from_str(DEFAULTS).expect("the embedded default file is YAML");
    let keys = |section: &str| {
        let keys = defaults[section].as_object().into_iter().flat_map(|keys| keys.keys());
        let variable = |key: &String| format!("TRIBUTARY_{section}__{key}").to_uppercase();
        keys.map(variable).collect::<Vec<_>>()
    };
    ["process", "heartbeat", "admin", "database"].into_iter().flat_map(keys).collect()
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        // It may have ended in between: then there is nothing left to do.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

async fn kill_now(child: &mut Child) -> io::Result<ExitStatus> {
    child.start_kill()?;
    child.wait().await
}

/// Where the programs are: beside this one, unless a setting says otherwise.
///
/// # Errors
/// When the system doesn't tell where this program is.
pub fn binaries(setting: Option<&Path>) -> io::Result<PathBuf> {
    let beside = || Ok(std::env::current_exe()?.with_file_name(""));
    setting.map_or_else(beside, |folder| Ok(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_this_program_are_kept_from_its_children() {
        let variables = own_variables();
        for name in ["TRIBUTARY_PROCESS__LOG_FOLDER", "TRIBUTARY_DATABASE__URL"] {
            assert!(variables.contains(&name.to_owned()), "{name}");
        }
        assert!(!variables.iter().any(|name| name.starts_with("TRIBUTARY_KAFKA")));
    }
}
