//! What can end a benchmark.

use std::path::PathBuf;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server or program.
    #[error(transparent)]
    Harness(#[from] harness::Error),
    /// PostgreSQL refused a question.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] wire::KafkaProblem),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// A made object can't be encoded: its values and `bench_vm.avsc` contradict each other.
    #[error(transparent)]
    Encode(#[from] records::EncodeError),
    /// A file that is needed or wanted.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The cores can't be divided.
    #[error("giving programs cores of their own failed, which takes two: {0}")]
    Cores(nix::errno::Errno),
    /// A helper command failed.
    #[error("{what} failed: {printed}")]
    Command {
        /// What it should have done.
        what: &'static str,
        /// What it printed.
        printed: String,
    },
    /// A contender ended before its work was done.
    #[error("{contender} ended before its work was done; its log: {}", log.display())]
    Ended {
        /// Who.
        contender: &'static str,
        /// Where it says why.
        log: PathBuf,
    },
    /// A contender was fast, but its rows are not as they should be.
    #[error("{contender}, {work}: the rows are {found}, they should be {wanted}")]
    Wrong {
        /// Who.
        contender: &'static str,
        /// At what.
        work: &'static str,
        /// Count and checksum of its rows.
        found: String,
        /// Count and checksum as they should be.
        wanted: String,
    },
}

impl Error {
    /// For `map_err` after an operation on `path`.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
