//! A whole pipeline in a world: a vCenter simulator, a collector, a persister, rows.

use crate::Outcome;
use harness::{Census, Inventory, Program, Template, Vcsim, World, wait_until};
use records::contract::{ContractRecord, Directive};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Admin, KafkaSettings, Outgoing, Publisher, Registry, RegistrySettings, frame};

/// The source that the tests collect.
pub const SOURCE: &str = "vc";

/// What every wait may take: far more than it takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Everything between a vCenter and its rows.
pub struct Pipeline {
    /// Its surroundings.
    pub world: World,
    /// The vCenter.
    pub vcsim: Vcsim,
    /// The collector of [`SOURCE`].
    pub collector: Program,
    /// The only persister.
    pub persister: Program,
    /// Where the rows are.
    pub database: PgConnection,
    kafka: KafkaSettings,
}

impl Pipeline {
    /// Starts everything; so many VMs.
    ///
    /// # Errors
    /// What did not start.
    pub async fn start(name: &str, vms: u32) -> Outcome<Self> {
        Self::on(World::start(name, &Template::EMPTY).await?, vms).await
    }

    /// The same with servers of its own.
    ///
    /// # Errors
    /// What did not start.
    pub async fn start_alone(name: &str, vms: u32) -> Outcome<Self> {
        Self::on(World::start_alone(name, &Template::EMPTY).await?, vms).await
    }

    async fn on(world: World, vms: u32) -> Outcome<Self> {
        let (vcsim, applied) = tokio::join!(world.vcsim(Inventory::Vms(vms)), apply(&world));
        let vcsim = vcsim?;
        applied?;
        let text = provider_manifest(&vcsim, &vcsim.credentials_file());
        std::fs::write(manifest(&world), text)?;
        let collector = collector(&world)?;
        let group = world.topic_prefix();
        let persister = world.program("persister", |command| {
            command.args(["run", "--instance", "slot-0", "--group", &group])
        })?;
        let database = PgConnection::connect(world.database_url()).await?;
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        Ok(Self { world, vcsim, collector, persister, database, kafka })
    }

    /// Waits until the rows equal the vCenter, and gives what it holds.
    ///
    /// # Errors
    /// The first differences, after [`LONG`].
    pub async fn equals(&mut self) -> Outcome<Census> {
        let (vcsim, database) = (&self.vcsim, &mut self.database);
        let census = wait_until("rows that equal the vCenter", LONG, async || {
            let census = vcsim.census().await.map_err(|error| error.to_string())?;
            let rows =
                Census::of_rows(database, SOURCE).await.map_err(|error| error.to_string())?;
            let differences = census.differences(&rows);
            if differences.is_empty() { Ok(census) } else { Err(first_of(&differences)) }
        });
        Ok(census.await?)
    }

    /// Waits until a query that gives one text gives this one.
    ///
    /// # Errors
    /// What it gives instead.
    pub async fn gives(&mut self, query: &'static str, wanted: &str) -> Outcome<()> {
        let database = &mut self.database;
        wait_until(&format!("{wanted} as the answer to {query}"), LONG, async || {
            let found: Option<String> = sqlx::query_scalar(query)
                .fetch_optional(&mut *database)
                .await
                .map_err(|error| error.to_string())?;
            if found.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await?;
        Ok(())
    }

    /// Another collector of the same source.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn second_collector(&self) -> Outcome<Program> {
        collector(&self.world)
    }

    /// Tells the collector what is wanted for the next minute.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn direct(&self, change: impl FnOnce(&mut Directive)) -> Outcome<()> {
        let mut directive = Directive {
            source: SOURCE.to_owned(),
            paused: false,
            bulk_records_per_second: None,
            listing_wanted_since: None,
            scope: None,
            expires_at: Version::now().plus(Duration::from_mins(1)).micros(),
        };
        change(&mut directive);
        let registry = Registry::new(&RegistrySettings::plain(&self.world.parts().registry.url()))?;
        let id = registry.register(Directive::SUBJECT, Directive::json()).await?;
        let publisher = Publisher::new(&self.kafka)?;
        let outgoing = Outgoing {
            topic: self.kafka.topic(Topic::Control),
            key: Some(SOURCE.into()),
            payload: Some(frame(id, &directive.encode())),
            headers: Vec::new(),
        };
        publisher.send(outgoing).await?;
        Ok(publisher.acknowledged().await?)
    }

    /// How many records a topic has.
    ///
    /// # Errors
    /// What Kafka said.
    pub async fn count(&self, topic: Topic) -> Outcome<i64> {
        let ends = Admin::new(&self.kafka, "tests")?.end_offsets(&self.kafka.topic(topic)).await?;
        Ok(ends.iter().map(|(_, end)| end.0).sum())
    }

    /// Waits until everything that is on both lanes is committed in PostgreSQL.
    ///
    /// # Errors
    /// What is missing, after [`LONG`].
    pub async fn drained(&mut self) -> Outcome<()> {
        let wanted =
            self.count(Topic::InventoryLive).await? + self.count(Topic::InventorySnapshot).await?;
        let database = &mut self.database;
        wait_until(&format!("{wanted} records applied"), LONG, async || {
            let applied: i64 =
                sqlx::query_scalar("SELECT sum(next_offset)::bigint FROM tributary.position")
                    .fetch_one(&mut *database)
                    .await
                    .map_err(|error| error.to_string())?;
            if applied >= wanted { Ok(()) } else { Err(format!("{applied} are")) }
        })
        .await?;
        Ok(())
    }

    /// Waits until a program has printed a text.
    ///
    /// # Errors
    /// What it printed instead, after [`LONG`].
    pub async fn prints(program: &Program, text: &str) -> Outcome<()> {
        wait_until(&format!("{text:?} in {}", program.log().display()), LONG, async || {
            let output = program.output().map_err(|error| error.to_string())?;
            if output.contains(text) { Ok(()) } else { Err(output) }
        })
        .await?;
        Ok(())
    }
}

/// Runs `schemas apply`: topics, schemas, tables.
///
/// # Errors
/// What it printed.
pub async fn apply(world: &World) -> Outcome<()> {
    let schemas = world.program("schemas", |command| {
        command.arg("apply").env("TRIBUTARY_TOPICS__PARTITIONS", "4")
    })?;
    let status = schemas.wait(LONG).await?;
    if status.success() { Ok(()) } else { Err(schemas.output()?.into()) }
}

fn collector(world: &World) -> Outcome<Program> {
    let file = manifest(world);
    Ok(world.program("collector", |command| command.args(["run", "-f"]).arg(file))?)
}

fn manifest(world: &World) -> PathBuf {
    world.folder().join("provider.yaml")
}

/// A manifest of [`SOURCE`].
#[must_use]
pub fn provider_manifest(vcsim: &Vcsim, credentials: &Path) -> String {
    format!(
        "apiVersion: tributary.dev/v1alpha1\nkind: Provider\nmetadata: {{name: {SOURCE}}}\n\
         spec:\n  kind: vsphere\n  url: {}\n  credentials_file: {}\n  ca_file: {}\n",
        vcsim.url(),
        credentials.display(),
        vcsim.ca_file().display()
    )
}

fn first_of(differences: &[String]) -> String {
    let first: Vec<&str> = differences.iter().take(5).map(String::as_str).collect();
    format!("{} differences, such as {}", differences.len(), first.join("; "))
}
