//! A worker: one process that the manifests want, and how to start it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// What a worker runs. Stops go in this order, so that what was read last is also written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// From a provider to Kafka.
    Collector,
    /// From Kafka to PostgreSQL.
    Persister,
}

/// One process that should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// What it runs.
    pub program: Program,
    /// With these arguments.
    pub arguments: Vec<String>,
    /// Of the manifest, and of the files that it and the connections name: when it differs, a new
    /// start may help.
    pub fingerprint: u64,
}

/// Everything that should run, by the worker's name.
pub type Desired = BTreeMap<String, Worker>;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Collector => "collector",
            Self::Persister => "persister",
        })
    }
}

/// A file that can't be read counts, too: it makes a difference when it appears.
pub(crate) fn fingerprint(text: &str, files: &[&Path]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    files.iter().for_each(|file| std::fs::read(file).ok().hash(&mut hasher));
    hasher.finish()
}
