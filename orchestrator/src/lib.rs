//! Runs what the manifests ask for: observe -> decide (pure) -> apply.
//!
//! ```text
//! manifest files -> manifest -> desired workers --+
//!                                                 +-> reconcile::decide -> start, stop, forget
//! process: heartbeats, exit codes -> slots -------+
//! ```

mod connections;
mod heartbeat;
mod log_file;
pub mod manifest;
mod process;
pub mod reconcile;
mod settings;
mod status;
mod supervisor;
mod worker;

pub use connections::Connections;
pub use settings::{DEFAULTS, HeartbeatSettings, ProcessSettings, Settings};
pub use status::{Status, WorkerStatus};
pub use worker::{Desired, Program, Worker};

use chassis::{AdminError, ExitKind, Health, Mistakes};
use prometheus_client::registry::Registry;
use status::Metrics;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use supervisor::Supervisor;
use tokio_util::sync::CancellationToken;

/// Why the orchestrator ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In settings or manifests.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// Nowhere to write.
    #[error("can't make the folder {}; set process.log_folder to one that can be written",
        path.display())]
    LogFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Where this program is.
    #[error("can't find the folder of this program; set process.binaries")]
    Binaries(#[source] io::Error),
    /// The status file.
    #[error("can't write or read status.json in {}; it is in process.log_folder while \
        `orchestrator run` runs", path.display())]
    Status {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl ExitKind for Error {
    fn is_final(&self) -> bool {
        matches!(self, Self::Mistakes(_))
    }
}

/// Runs the workers of `files` until `stop`, and then until all of them have ended: collectors
/// first. Call it on the main thread: children get SIGTERM when the thread that started them ends.
///
/// # Errors
/// Mistakes in manifests, or a folder or port that can't be used.
pub async fn run(
    settings: Settings,
    files: Vec<PathBuf>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let health = Health::awaiting(&[]);
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let supervisor = Supervisor::new(&settings, files, health.clone(), metrics).await?;
    let admin_stop = CancellationToken::new();
    let admin =
        chassis::admin::serve(&settings.admin, Arc::new(registry), health, admin_stop.clone());
    let work = async {
        let result = supervisor.run(stop).await;
        admin_stop.cancel();
        result
    };
    let admin = async { admin.await.map_err(Error::from) };
    tokio::try_join!(admin, work).map(|((), ())| ())
}
