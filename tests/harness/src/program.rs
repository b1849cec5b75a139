//! The workspace's own programs, run as children of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::Error;
use crate::folders;
use crate::process::{Lifetime, Process, ProcessId};
use crate::wait::{LOOK_EVERY, wait_until};

/// How long a program may take for its graceful end when the test is over.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// A program that was started. Dropping it asks it to end, and kills it if it does not.
pub struct Program {
    process: Process,
}

impl Program {
    /// Starts a program of the workspace that logs there; it ends with this process.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] or [`Error::Spawn`].
    pub fn of_workspace(
        name: &str,
        log: PathBuf,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, Error> {
        let mut command = binary(name)?;
        configure(&mut command);
        Self::start(Process::new(name, command, log, Lifetime::Test))
    }

    pub(crate) fn start(process: Process) -> Result<Self, Error> {
        process.start()?;
        Ok(Self { process })
    }

    /// `kill -9`, as a crash would end it.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Asks it to end gracefully (SIGTERM), and does not wait.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Starts it again with the same arguments; one that still runs is killed first.
    ///
    /// # Errors
    /// [`Error::Spawn`].
    pub fn restart(&self) -> Result<(), Error> {
        self.process.start().map(|_id| ())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Error::Timeout`], with the end of the log.
    pub async fn wait(&self, timeout: Duration) -> Result<ExitStatus, Error> {
        let what = format!("the end of {}", self.process.name);
        wait_until(&what, timeout, async || self.status().ok_or_else(|| self.process.log_tail()))
            .await
    }

    /// How it ended; nothing while it runs.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.process.status()
    }

    /// The running process.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.process.id()
    }

    /// Where its standard output and error go.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.process.log
    }

    /// All that it has printed so far, over all its starts.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn output(&self) -> Result<String, Error> {
        fs::read_to_string(self.log()).map_err(Error::at(self.log()))
    }

    /// Its resident memory in KiB; nothing while it does not run.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        self.id()?.resident_kib()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.terminate();
        let looks = DROP_PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            if self.process.id().is_none() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A binary of the workspace: cargo puts it beside the folder of the test executables.
pub(crate) fn binary(name: &str) -> Result<Command, Error> {
    let me = std::env::current_exe().map_err(Error::at(Path::new("/proc/self/exe")))?;
    let folder = me.ancestors().nth(1).map(Path::to_path_buf).unwrap_or_default();
    let folder = if folder.ends_with("deps") { folder.join("..") } else { folder };
    let path: PathBuf = fs::canonicalize(&folder).map_err(Error::at(&folder))?.join(name);
    if path.exists() { Ok(Command::new(path)) } else { Err(Error::NotBuilt(path)) }
}

/// The Python that `make setup` made, with fastavro and confluent-kafka.
pub(crate) fn python() -> Result<Command, Error> {
    // Not resolved further: by its own folder Python knows its packages.
    Ok(Command::new(folders::part("python")?.join("bin/python")))
}
