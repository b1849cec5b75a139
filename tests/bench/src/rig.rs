//! One Kafka, one registry and one PostgreSQL for all, and the rows that contenders begin with.

use crate::error::Error;
use harness::{Template, World, own_sessions};
use records::{Topic, Version};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use wire::{Admin, KafkaSettings, Registry, RegistrySettings, TopicSpec};
use workloads::objects;

/// How many partitions every topic has.
const PARTITIONS: i32 = 8;

/// What the server is told beside the harness's settings: durable, and with memory enough that
/// the work is measured and not the disk.
const SETTINGS: [(&str, &str); 9] = [
    ("fsync", "on"),
    ("shared_buffers", "2GB"),
    ("wal_compression", "lz4"),
    ("max_wal_size", "8GB"),
    ("min_wal_size", "2GB"),
    ("checkpoint_timeout", "30min"),
    ("wal_buffers", "64MB"),
    ("work_mem", "64MB"),
    ("autovacuum", "off"),
];

/// A database of ours with its tables.
static MIGRATED: Template = Template::new("migrated", |url| {
    Box::pin(async move {
        let mut connection = PgConnection::connect(&url).await?;
        schemas::database::migrate(&mut connection).await?;
        Ok(())
    })
});

/// The servers, and what all contenders are given alike.
pub struct Rig {
    /// The servers.
    pub world: World,
    /// How many records each workload has.
    pub records: u64,
    /// The version of the first load; all others are later, and all are past.
    pub epoch: Version,
    number: AtomicU32,
}

impl Rig {
    /// Starts the servers.
    ///
    /// # Errors
    /// What did not start.
    pub async fn start(records: u64) -> Result<Self, Error> {
        own_sessions();
        let world = World::start_alone("bench", &MIGRATED).await?;
        for (name, value) in SETTINGS {
            let statement = format!("ALTER SYSTEM SET {name} = '{value}'");
            world.parts().postgres.administer("sets the server", statement).await?;
        }
        world.parts().postgres.server.stop().await;
        world.parts().postgres.server.restart().await?;
        let hour_ago = Version::now().micros() - 3_600_000_000;
        let epoch = Version::from_micros(hour_ago);
        Ok(Self { world, records, epoch, number: AtomicU32::new(0) })
    }

    /// Kafka, under a prefix of its own.
    #[must_use]
    pub fn kafka(&self, prefix: &str) -> KafkaSettings {
        KafkaSettings::plain(&self.world.parts().kafka.address(), prefix)
    }

    /// The registry.
    ///
    /// # Errors
    /// [`Error::Registry`].
    pub fn registry(&self) -> Result<Registry, Error> {
        Ok(Registry::new(&RegistrySettings::plain(&self.world.parts().registry.url()))?)
    }

    /// A number that no other caller gets.
    pub fn next(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes all topics of the contract under a prefix.
    ///
    /// # Errors
    /// [`Error::Kafka`].
    pub async fn make_topics(&self, prefix: &str) -> Result<(), Error> {
        for topic in Topic::ALL {
            self.make_topic(topic.name(prefix)).await?;
        }
        Ok(())
    }

    /// Makes one topic.
    ///
    /// # Errors
    /// [`Error::Kafka`].
    pub async fn make_topic(&self, name: String) -> Result<(), Error> {
        let config = Vec::new();
        let spec = TopicSpec { name, partitions: PARTITIONS, replication: 1, config };
        Admin::new(&self.kafka(""), "bench")?.ensure_topic(&spec).await?;
        Ok(())
    }

    /// A new database with our tables, or with the table that everybody else writes.
    ///
    /// # Errors
    /// [`Error::Harness`] or [`Error::Database`].
    pub async fn new_database(&self, ours: bool) -> Result<Rows, Error> {
        let name = format!("rows-{}", self.next());
        let template = if ours { &MIGRATED } else { &Template::EMPTY };
        let url = self.world.parts().postgres.clone_template(template, &name).await?;
        let mut rows = Rows::open(name, url, ours).await?;
        if !ours {
            rows.run(&flat_table()).await?;
        }
        Ok(rows)
    }

    /// A copy of a database to which nobody is connected.
    ///
    /// # Errors
    /// [`Error::Harness`] or [`Error::Database`].
    pub async fn copy_of(&self, original: &Closed) -> Result<Rows, Error> {
        let name = format!("rows-{}", self.next());
        let statement = format!(
            "CREATE DATABASE \"{name}\" TEMPLATE \"{}\" STRATEGY file_copy OWNER tributary",
            original.name
        );
        self.world.parts().postgres.administer("copies rows", statement).await?;
        let url = self.world.parts().postgres.url(&name);
        Rows::open(name, url, original.ours).await
    }

    /// Deletes a database.
    ///
    /// # Errors
    /// [`Error::Harness`].
    pub async fn drop(&self, closed: Closed) -> Result<(), Error> {
        let statement = format!("DROP DATABASE \"{}\" WITH (FORCE)", closed.name);
        Ok(self.world.parts().postgres.administer("deletes rows", statement).await?)
    }

    /// Writes everything to disk, so that each run begins alike.
    ///
    /// # Errors
    /// [`Error::Harness`].
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let postgres = &self.world.parts().postgres;
        Ok(postgres.administer("writes a checkpoint", "CHECKPOINT".to_owned()).await?)
    }
}

/// A database, and a connection that looks at it.
pub struct Rows {
    /// How clients reach it.
    pub url: String,
    connection: PgConnection,
    digest: String,
    closed: Closed,
}

/// A database that nobody of us is connected to.
pub struct Closed {
    name: String,
    ours: bool,
}

impl Rows {
    async fn open(name: String, url: String, ours: bool) -> Result<Self, Error> {
        let connection = PgConnection::connect(&url).await?;
        let digest = digest_of(if ours { "inventory.bench_vm" } else { "vm" });
        Ok(Self { url, connection, digest, closed: Closed { name, ours } })
    }

    /// Its rows are to be judged by the text that this query gives.
    pub fn judge_by(&mut self, digest: &str) {
        digest.clone_into(&mut self.digest);
    }

    /// Disconnects.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn close(self) -> Result<Closed, Error> {
        self.connection.close().await?;
        Ok(self.closed)
    }

    /// Runs statements.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn run(&mut self, statements: &str) -> Result<(), Error> {
        let statements = AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(statements).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Asks for one number.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn number(&mut self, query: &str) -> Result<i64, Error> {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        Ok(query.fetch_one(&mut self.connection).await?)
    }

    /// Bytes of WAL since the server was made.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn wal(&mut self) -> Result<i64, Error> {
        self.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await
    }

    /// Asks for one text.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn text(&mut self, query: &str) -> Result<String, Error> {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        Ok(query.fetch_one(&mut self.connection).await?)
    }

    /// What tells whether the rows are right: equal for equal rows, in whatever order.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn digest(&mut self) -> Result<String, Error> {
        let query = self.digest.clone();
        self.text(&query).await
    }

    /// Median and 99th percentile of what a query gives, which is in milliseconds.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn percentiles(&mut self, delays: &str) -> Result<(f64, f64), Error> {
        let query = format!(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), \
             percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) FROM ({delays}) AS delays(ms)"
        );
        Ok(sqlx::query_as(AssertSqlSafe(query)).fetch_one(&mut self.connection).await?)
    }
}

/// Asks for count and checksum of the attributes of a table's rows.
fn digest_of(table: &str) -> String {
    format!(
        "SELECT count(*) || ' rows ' || \
         coalesce(bit_xor(hashtextextended(ROW(source, native_id, {})::text, 0)), 0) FROM {table}",
        attributes().join(", ")
    )
}

/// The names of the attributes, in their order.
#[must_use]
pub fn attributes() -> Vec<String> {
    objects::entity_type().attributes().iter().map(|a| a.name.to_string()).collect()
}

/// The table that everybody but ours writes: the same columns, and of the registers the version.
#[must_use]
pub fn flat_table() -> String {
    let columns: String = objects::entity_type()
        .attributes()
        .iter()
        .map(|attribute| format!(", {} {}", attribute.name, attribute.column.sql()))
        .collect();
    format!(
        "CREATE TABLE vm (source text COLLATE \"C\" NOT NULL, \
         native_id text COLLATE \"C\" NOT NULL, version bigint NOT NULL{columns}, \
         PRIMARY KEY (source, native_id))"
    )
}

/// How long a contender may take for one workload.
pub const PATIENCE: Duration = Duration::from_secs(600);
