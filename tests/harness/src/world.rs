//! What one end-to-end test gets: shared servers, and everything else of its own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;
use tokio::try_join;

use crate::error::Error;
use crate::folders;
use crate::kafka::{Kafka, KafkaPorts};
use crate::network::free_port;
use crate::postgres::{Durability, Home, Postgres, Template};
use crate::process::{Lifetime, Process};
use crate::program::{self, Program};
use crate::registry::Registry;
use crate::vcsim::{Inventory, Vcsim};

/// The servers of this test process, started by its first test.
static SHARED: OnceCell<Arc<Parts>> = OnceCell::const_new();

/// The folder of this test process.
static RUN: OnceCell<PathBuf> = OnceCell::const_new();

/// Counts the worlds and the programs of this test process: whatever needs a name of its own.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// One Kafka, one registry, one PostgreSQL.
pub struct Parts {
    /// The broker.
    pub kafka: Kafka,
    /// The schema registry.
    pub registry: Registry,
    /// The database server.
    pub postgres: Postgres,
}

impl Parts {
    /// Starts the three side by side, with their data below `name` in the run's folder.
    async fn start(name: &str) -> Result<Self, Error> {
        let run = run_folder().await?;
        let folder = folders::make(run.join(name))?;
        let elsewhere = folders::reachable_by_all().join("runs").join(folders::run_name());
        let (kafka, registry, postgres) = try_join!(
            start_kafka(folder.join("kafka")),
            start_registry(folder.join("registry")),
            start_postgres(&folder, elsewhere.join(name)),
        )?;
        Ok(Self { kafka, registry, postgres })
    }
}

/// The surroundings of one test. What it has started ends when the handles are dropped.
///
/// Subjects of the registry have no prefix, so a test that registers versions of its own uses
/// record types of its own.
pub struct World {
    name: String,
    folder: PathBuf,
    parts: Arc<Parts>,
    database_url: String,
}

impl World {
    /// A world on the servers that all tests of this process share: don't kill those.
    ///
    /// # Errors
    /// [`Error`] when a server does not start or the template cannot be filled.
    pub async fn start(name: &str, template: &Template) -> Result<Self, Error> {
        let shared = SHARED.get_or_try_init(async || Parts::start("shared").await.map(Arc::new));
        Self::on(Arc::clone(shared.await?), name, template).await
    }

    /// A world with servers of its own, for tests that kill and restart them; takes seconds.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn start_alone(name: &str, template: &Template) -> Result<Self, Error> {
        let parts = Parts::start(&unique(&format!("{name}-servers"))).await?;
        Self::on(Arc::new(parts), name, template).await
    }

    async fn on(parts: Arc<Parts>, name: &str, template: &Template) -> Result<Self, Error> {
        let name = unique(name);
        let folder = folders::make(run_folder().await?.join(&name))?;
        let database_url = parts.postgres.clone_template(template, &name).await?;
        Ok(Self { name, folder, parts, database_url })
    }

    /// The servers.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The prefix of this world's topics, with its last dot.
    #[must_use]
    pub fn topic_prefix(&self) -> String {
        format!("{}.", self.name)
    }

    /// This world's database, for its owner.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// A folder for files of the test; logs are there too. The next test run removes it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a vCenter simulator and waits until it answers.
    ///
    /// # Errors
    /// [`Error`] when it does not start.
    pub async fn vcsim(&self, inventory: Inventory) -> Result<Vcsim, Error> {
        let port = free_port(None).map_err(Error::at(&self.folder))?;
        let folder = self.folder.join(unique("vcsim"));
        let vcsim = Vcsim::launch(&folder, port, &inventory, Lifetime::Test).await?;
        vcsim.server.ready().await?;
        Ok(vcsim)
    }

    /// Starts a program of the workspace with this world's addresses in its environment:
    ///
    /// ```ignore
    /// let persister = world.program("persister", |command| command.arg("run"))?;
    /// ```
    ///
    /// # Errors
    /// [`Error::NotBuilt`] or [`Error::Spawn`].
    pub fn program(
        &self,
        name: &str,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Program, Error> {
        self.run(name, program::binary(name)?, configure)
    }

    /// Starts a Python script (fastavro and confluent-kafka are there), like [`World::program`].
    ///
    /// # Errors
    /// [`Error::NotSetUp`] or [`Error::Spawn`].
    pub fn python(
        &self,
        script: &Path,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Program, Error> {
        let mut command = program::python()?;
        command.arg(script);
        self.run("python", command, configure)
    }

    /// Starts any other command, like [`World::program`]; `name` is its log's.
    ///
    /// # Errors
    /// [`Error::Spawn`].
    pub fn run(
        &self,
        name: &str,
        mut command: Command,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Program, Error> {
        command.current_dir(&self.folder).envs(self.environment());
        configure(&mut command);
        let log = self.folder.join(format!("{}.log", unique(name)));
        Program::start(Process::new(name, command, log, Lifetime::Test))
    }

    /// The variables by which all programs find their surroundings.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("KAFKA_BOOTSTRAP_SERVERS", self.parts.kafka.address()),
            ("SCHEMA_REGISTRY_URL", self.parts.registry.url()),
            ("DATABASE_URL", self.database_url.clone()),
            ("TRIBUTARY_TOPIC_PREFIX", self.topic_prefix()),
        ]
    }
}

pub(crate) async fn run_folder() -> Result<&'static PathBuf, Error> {
    RUN.get_or_try_init(async || folders::test_run()).await
}

/// The name with what tells it from all others of this process; fit for databases and topics.
pub(crate) fn unique(name: &str) -> String {
    let safe = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let mut unique = safe.collect::<String>().to_ascii_lowercase();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    write!(unique, "-{number}").expect("writing to a String never fails");
    unique
}

async fn start_kafka(folder: PathBuf) -> Result<Kafka, Error> {
    let ports = KafkaPorts::free().map_err(Error::at(&folder))?;
    let kafka = Kafka::launch(&folder, ports, Lifetime::Test).await?;
    kafka.server.ready().await?;
    Ok(kafka)
}

async fn start_registry(folder: PathBuf) -> Result<Registry, Error> {
    let port = free_port(None).map_err(Error::at(&folder))?;
    let registry = Registry::launch(&folder, port, Lifetime::Test)?;
    registry.server.ready().await?;
    Ok(registry)
}

async fn start_postgres(folder: &Path, elsewhere: PathBuf) -> Result<Postgres, Error> {
    let home = Home::choose(folder, &elsewhere).await?;
    let port = free_port(None).map_err(Error::at(folder))?;
    let postgres = Postgres::launch(&home, port, Durability::Process, Lifetime::Test).await?;
    postgres.server.ready().await?;
    postgres.prepare(None).await?;
    Ok(postgres)
}
