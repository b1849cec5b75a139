//! What the local stack remembers between two calls of `stack`: a JSON file that only we may read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::network::free_port;
use crate::process::ProcessId;

/// A part of the local stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Kafka,
    Registry,
    Postgres,
    Vcsim,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Kafka, Self::Registry, Self::Postgres, Self::Vcsim];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::Registry => "registry",
            Self::Postgres => "PostgreSQL",
            Self::Vcsim => "vcsim",
        }
    }

    /// Its folder below `.stack`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Postgres => "postgres",
            Self::Vcsim => "vcsim",
        }
    }

    /// The environment variable with its address.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Kafka => "KAFKA_BOOTSTRAP_SERVERS",
            Self::Registry => "SCHEMA_REGISTRY_URL",
            Self::Postgres => "DATABASE_URL",
            Self::Vcsim => "VCENTER_URL",
        }
    }
}

/// The state file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The ports of the last run, by their use.
    ports: BTreeMap<String, u16>,
    /// Started, and not ready yet when this was written.
    pub(crate) starting: BTreeMap<Part, ProcessId>,
    /// Ready.
    pub(crate) running: BTreeMap<Part, ProcessId>,
    /// The logs of the last run.
    pub(crate) logs: BTreeMap<Part, PathBuf>,
    /// The addresses of the last run, also those of other people's servers.
    pub(crate) addresses: BTreeMap<Part, String>,
    /// The parts whose address was given.
    pub(crate) external: BTreeSet<Part>,
}

impl State {
    /// An absent file is an empty state.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| Error::State { path: path.to_path_buf(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::at(path)(error)),
        }
    }

    /// Replaces the file as a whole: it holds passwords, so its mode is right from the first byte.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::State { path: path.to_path_buf(), source })?;
        let new = path.with_extension("new");
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new);
        file.and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&new, path))
            .map_err(Error::at(path))
    }

    /// The port that this use had in the last run where it is free, else another.
    pub(crate) fn port(&mut self, usage: &str) -> io::Result<u16> {
        let port = free_port(self.ports.get(usage).copied())?;
        self.ports.insert(usage.to_owned(), port);
        Ok(port)
    }

    /// The port that this use had in the last run.
    pub(crate) fn last_port(&self, usage: &str) -> u16 {
        self.ports.get(usage).copied().unwrap_or_default()
    }

    /// Whether this part runs and is ready.
    pub(crate) fn is_running(&self, part: Part) -> bool {
        self.running.get(&part).is_some_and(|id| id.is_alive())
    }

    /// Whether the given address is that of our own part: then it came from our own `stack env`.
    pub(crate) fn is_ours(&self, part: Part, address: &str) -> bool {
        !self.external.contains(&part) && self.addresses.get(&part).is_some_and(|a| a == address)
    }
}
