//! A process that serves: it is ready when it answers, and can be killed and started again.

use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::Error;
use crate::process::{Process, ProcessId};
use crate::wait::LOOK_EVERY;

/// How long a server may take to answer; ten times what it needs on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// How long a server may take to end by itself.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Asks the server something; `Err` says what was met instead of an answer.
pub(crate) type Probe = Box<dyn Fn() -> Probing + Send + Sync>;
pub(crate) type Probing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One running part. Dropping it ends the process, unless that was started detached.
pub struct Server {
    process: Process,
    probe: Probe,
}

impl Server {
    /// Starts the process and does not wait.
    pub(crate) fn launch(process: Process, probe: Probe) -> Result<Self, Error> {
        process.start()?;
        Ok(Self { process, probe })
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`], with the end of the log; the process is gone then.
    pub async fn ready(&self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let Err(seen) = (self.probe)().await else { return Ok(()) };
            if let Some(status) = self.process.status() {
                let (name, log) = (self.process.name.clone(), self.process.log_tail());
                return Err(Error::Ended { name, status, log });
            }
            if started.elapsed() > START_PATIENCE {
                self.kill();
                let (name, log) = (self.process.name.clone(), self.process.log_tail());
                return Err(Error::NotReady { name, seconds: START_PATIENCE.as_secs(), seen, log });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// `kill -9`, as a crash would end it.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Ends it cleanly; one that does not end is killed.
    pub async fn stop(&self) {
        if let Some(id) = self.id() {
            id.end(self.process.stop, STOP_PATIENCE).await;
        }
        self.process.kill(); // also collects the ended child
    }

    /// Starts it again at the same address, with the same data, and waits until it answers;
    /// one that still runs is killed first.
    ///
    /// # Errors
    /// As [`Server::ready`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.process.start()?;
        self.ready().await
    }

    /// The running process.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.process.id()
    }

    /// Where it logs.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.process.log
    }
}

/// Makes a [`Probe`] of a function that makes a future.
pub(crate) fn probe<F, E>(attempt: impl Fn() -> F + Send + Sync + 'static) -> Probe
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display,
{
    Box::new(move || {
        let attempt = attempt();
        Box::pin(async move { attempt.await.map_err(|error| error.to_string()) })
    })
}
