//! The local stack: the parts, left running in the background between two commands.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::sys::signal::Signal;
use tokio::join;

use crate::error::Error;
use crate::folders;
use crate::kafka::{Kafka, KafkaPorts};
use crate::postgres::{Durability, Home, Postgres};
use crate::process::Lifetime;
use crate::registry::Registry;
use crate::server::{STOP_PATIENCE, Server};
use crate::state::{Part, State};
use crate::vcsim::{Access, Inventory, Vcsim};

/// The name of the stack's database.
const DATABASE: &str = "tributary";

/// Addresses of servers that run already; those parts are not started.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// `KAFKA_BOOTSTRAP_SERVERS`
    pub kafka: Option<String>,
    /// `SCHEMA_REGISTRY_URL`
    pub registry: Option<String>,
    /// `DATABASE_URL`
    pub database: Option<String>,
}

impl External {
    fn address(&self, part: Part) -> Option<&str> {
        match part {
            Part::Kafka => self.kafka.as_deref(),
            Part::Registry => self.registry.as_deref(),
            Part::Postgres => self.database.as_deref(),
            Part::Vcsim => None,
        }
    }
}

/// The stack of this clone of the project. While one exists, others of the same clone wait.
pub struct Stack {
    folder: PathBuf,
    state: Mutex<State>,
    report: fn(&str),
    /// Held, not read.
    _lock: File,
}

impl Stack {
    /// Reads what the last command left; `report` is given a line for each step.
    ///
    /// # Errors
    /// [`Error::State`] or [`Error::File`].
    pub fn open(report: fn(&str)) -> Result<Self, Error> {
        let folder = folders::make(folders::stack_folder())?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::at(&path))?;
        lock.lock().map_err(Error::at(&path))?;
        let state = Mutex::new(State::read(&folder.join("state.json"))?);
        Ok(Self { folder, state, report, _lock: lock })
    }

    /// Starts, side by side, the parts that do not run and whose address was not given. Without an
    /// inventory there is no vCenter simulator.
    ///
    /// # Errors
    /// The first failure; what did start stays, and is used by the next attempt.
    pub async fn up(
        &self,
        external: &External,
        inventory: Option<&Inventory>,
    ) -> Result<(), Error> {
        self.end_unready().await?;
        self.remember_external(external)?;
        let (kafka, registry, postgres, vcsim) =
            join!(self.kafka(), self.registry(), self.postgres(), self.vcsim(inventory));
        kafka.and(registry).and(postgres).and(vcsim)
    }

    /// Ends all parts, side by side: none needs another for its clean end.
    ///
    /// # Errors
    /// [`Error::File`] when the state cannot be written.
    pub async fn down(&self) -> Result<(), Error> {
        self.end_unready().await?;
        let (kafka, registry, postgres, vcsim) = join!(
            self.end(Part::Kafka),
            self.end(Part::Registry),
            self.end(Part::Postgres),
            self.end(Part::Vcsim)
        );
        kafka.and(registry).and(postgres).and(vcsim)
    }

    /// [`Stack::down`], and deletes all data and the memory of ports and passwords.
    ///
    /// # Errors
    /// [`Error::File`] when something cannot be deleted.
    pub async fn reset(&self) -> Result<(), Error> {
        self.down().await?;
        let near = Part::ALL.map(|part| self.folder.join(part.folder()));
        let far = folders::reachable_by_all().join(Part::Postgres.folder());
        for folder in near.into_iter().chain([far]).filter(|folder| folder.exists()) {
            fs::remove_dir_all(&folder).map_err(Error::at(&folder))?;
            self.say(&format!("deleted {}", folder.display()));
        }
        self.remember(|state| *state = State::default())
    }

    /// Whether all parts of the last `up` run; those whose address was given are taken to.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let state = self.state();
        let runs = |part| state.external.contains(part) || state.is_running(*part);
        !state.addresses.is_empty() && state.addresses.keys().all(runs)
    }

    /// Reports a line for each part of the last `up`.
    pub fn status(&self) {
        let state = self.state();
        for (part, address) in &state.addresses {
            let log = state.logs.get(part).map(|log| log.display().to_string()).unwrap_or_default();
            let condition = match state.running.get(part) {
                _ if state.external.contains(part) => "is used as it is".to_owned(),
                Some(id) if id.is_alive() => format!("runs as process {}, log {log}", id.pid),
                _ => format!("does not run, log {log}"),
            };
            let address = without_password(address);
            self.say(&format!("{:<10} {address} {condition}", part.title()));
        }
    }

    /// The environment variables by which programs find the parts of the last `up`.
    ///
    /// # Errors
    /// [`Error::NotUp`], or [`Error::File`] when the vCenter's credentials are gone.
    pub fn variables(&self) -> Result<Vec<(&'static str, String)>, Error> {
        if !self.is_up() {
            return Err(Error::NotUp);
        }
        let state = self.state();
        let addresses = state.addresses.iter();
        let mut variables: Vec<_> =
            addresses.map(|(part, address)| (part.variable(), address.clone())).collect();
        if state.addresses.contains_key(&Part::Vcsim) {
            let access = self.access(state.last_port(Part::Vcsim.folder()));
            variables.extend(access.variables()?);
        }
        Ok(variables)
    }

    /// The git-ignored folder in which everything of the stack is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The way to the vCenter simulator of the last `up`.
    #[must_use]
    pub fn vcenter(&self) -> Access {
        self.access(self.state().last_port(Part::Vcsim.folder()))
    }

    async fn kafka(&self) -> Result<(), Error> {
        let Some(started) = self.wanted(Part::Kafka) else { return Ok(()) };
        let ports = KafkaPorts {
            broker: self.port(Part::Kafka.folder())?,
            controller: self.port("kafka-controller")?,
        };
        let folder = self.folder.join(Part::Kafka.folder());
        let kafka = Kafka::launch(&folder, ports, Lifetime::Detached).await?;
        self.launched(Part::Kafka, &kafka.server)?;
        kafka.server.ready().await?;
        self.ready(Part::Kafka, kafka.address(), started)
    }

    async fn registry(&self) -> Result<(), Error> {
        let Some(started) = self.wanted(Part::Registry) else { return Ok(()) };
        let port = self.port(Part::Registry.folder())?;
        let folder = self.folder.join(Part::Registry.folder());
        let registry = Registry::launch(&folder, port, Lifetime::Detached)?;
        self.launched(Part::Registry, &registry.server)?;
        registry.server.ready().await?;
        self.ready(Part::Registry, registry.url(), started)
    }

    async fn postgres(&self) -> Result<(), Error> {
        let Some(started) = self.wanted(Part::Postgres) else { return Ok(()) };
        let home = Home::choose(&self.folder, &folders::reachable_by_all()).await?;
        if !home.0.starts_with(&self.folder) {
            let place = home.0.display();
            self.say(&format!("PostgreSQL's user cannot reach this project; its data: {place}"));
        }
        let port = self.port(Part::Postgres.folder())?;
        let postgres =
            Postgres::launch(&home, port, Durability::Machine, Lifetime::Detached).await?;
        self.launched(Part::Postgres, &postgres.server)?;
        postgres.server.ready().await?;
        postgres.prepare(Some(DATABASE)).await?;
        self.ready(Part::Postgres, postgres.url(DATABASE), started)
    }

    async fn vcsim(&self, inventory: Option<&Inventory>) -> Result<(), Error> {
        let Some(inventory) = inventory else { return self.forget_vcsim() };
        let Some(started) = self.wanted(Part::Vcsim) else { return Ok(()) };
        let port = self.port(Part::Vcsim.folder())?;
        let folder = self.access(port).folder;
        let vcsim = Vcsim::launch(&folder, port, inventory, Lifetime::Detached).await?;
        self.launched(Part::Vcsim, &vcsim.server)?;
        vcsim.server.ready().await?;
        self.ready(Part::Vcsim, vcsim.url(), started)
    }

    /// One that is not wanted is not missed; one that runs goes on.
    fn forget_vcsim(&self) -> Result<(), Error> {
        self.remember(|state| {
            if !state.is_running(Part::Vcsim) {
                state.addresses.remove(&Part::Vcsim);
            }
        })
    }

    /// The moment of the start, unless the part runs already or is somebody else's.
    fn wanted(&self, part: Part) -> Option<Instant> {
        let state = self.state();
        let address = state.addresses.get(&part).map_or("", String::as_str);
        let address = without_password(address);
        if state.external.contains(&part) {
            self.say(&format!("{:<10} used as it is at {address}", part.title()));
        } else if state.is_running(part) {
            self.say(&format!("{:<10} runs already at {address}", part.title()));
        } else {
            return Some(Instant::now());
        }
        None
    }

    fn launched(&self, part: Part, server: &Server) -> Result<(), Error> {
        self.remember(|state| {
            state.starting.extend(server.id().map(|id| (part, id)));
            state.logs.insert(part, server.log().to_path_buf());
        })
    }

    fn ready(&self, part: Part, address: String, started: Instant) -> Result<(), Error> {
        let seconds = started.elapsed().as_secs_f64();
        self.say(&format!("{:<10} ready after {seconds:.1} s", part.title()));
        self.remember(|state| {
            if let Some(id) = state.starting.remove(&part) {
                state.running.insert(part, id);
            }
            state.addresses.insert(part, address);
        })
    }

    async fn end(&self, part: Part) -> Result<(), Error> {
        let Some(id) = self.state().running.get(&part).copied() else { return Ok(()) };
        let alive = id.is_alive();
        id.end(stop_signal(part), STOP_PATIENCE).await;
        let condition = if alive { "stopped" } else { "had ended already" };
        self.say(&format!("{:<10} {condition}", part.title()));
        self.remember(|state| {
            state.running.remove(&part);
        })
    }

    /// Ends what an interrupted `up` has left: nobody knows in which condition it is.
    async fn end_unready(&self) -> Result<(), Error> {
        let starting = self.state().starting.clone();
        for (part, id) in starting {
            id.end(stop_signal(part), STOP_PATIENCE).await;
        }
        self.remember(|state| state.starting.clear())
    }

    fn remember_external(&self, external: &External) -> Result<(), Error> {
        self.remember(|state| {
            for part in Part::ALL {
                let given = external.address(part).filter(|given| !state.is_ours(part, given));
                match given {
                    Some(given) => {
                        state.external.insert(part);
                        state.addresses.insert(part, given.to_owned());
                    }
                    None if state.external.remove(&part) => {
                        state.addresses.remove(&part);
                    }
                    None => {}
                }
            }
        })
    }

    fn port(&self, usage: &str) -> Result<u16, Error> {
        let port = self.state().port(usage).map_err(Error::at(&self.folder))?;
        self.remember(|_changed_already| ())?;
        Ok(port)
    }

    fn access(&self, port: u16) -> Access {
        Access { folder: self.folder.join(Part::Vcsim.folder()), port }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.state();
        change(&mut state);
        state.write(&self.folder.join("state.json"))
    }

    fn say(&self, line: &str) {
        (self.report)(line);
    }
}

/// A URL as it may be shown; `stack env` prints it whole.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

/// PostgreSQL takes SIGTERM as "when the last client has gone".
fn stop_signal(part: Part) -> Signal {
    if part == Part::Postgres { Signal::SIGINT } else { Signal::SIGTERM }
}
