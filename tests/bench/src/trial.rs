//! One run of one contender, and what it has used.

use crate::error::Error;
use crate::rig::{Rig, Rows};
use crate::usage::{Servers, Usage, peak_mib};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A run in which everything else used more CPU seconds than this is disturbed.
const OTHERS_MAX: f64 = 1.5;

/// Without rows for so long, a contender may be done.
const QUIET: Duration = Duration::from_millis(500);

/// How often the WAL is looked at: it tells the last write.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// So much WAL at once is no row, but the server's own housekeeping.
const WAL_OF_SERVER: i64 = 2 * 1024;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// The best plain SQL, from a local file, by psql: no Kafka, no Avro.
    Floor,
    /// `persister run`.
    Ours,
    /// The Debezium JDBC sink in Kafka Connect.
    Debezium,
    /// Redpanda Connect.
    Redpanda,
}

impl Contender {
    /// How people read it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Floor => "plain SQL (floor)",
            Self::Ours => "Tributary",
            Self::Debezium => "Debezium JDBC sink",
            Self::Redpanda => "Redpanda Connect",
        }
    }
}

/// What a run has used and done.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// Who.
    pub contender: Contender,
    /// From the first commit to the last row.
    pub seconds: f64,
    /// Records, or samples, per second in this time.
    pub rate: f64,
    /// CPU seconds of the contender for a million of them.
    pub client_cpu: f64,
    /// CPU seconds of PostgreSQL for a million.
    pub postgres_cpu: f64,
    /// CPU seconds of the broker for a million.
    pub kafka_cpu: f64,
    /// CPU seconds of everything else, in this run.
    pub others_cpu: f64,
    /// The most memory of the contender, MiB; the floor has none of its own.
    pub peak_mib: Option<f64>,
    /// Bytes of WAL for one.
    pub wal_bytes: f64,
    /// Count and checksum of the rows at the end.
    pub rows: String,
}

impl Trial {
    /// Whether something else has used much of the machine.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.others_cpu > OTHERS_MAX
    }

    /// A line for whoever waits; `work` is what was done.
    #[must_use]
    pub fn line(&self, round: u32, work: &str) -> String {
        format!(
            "round {round}: {work}, {}: {:.0}/s, CPU s per million: client {:.1}, \
             PostgreSQL {:.1}, Kafka {:.1}; peak {:.0} MiB; WAL {:.1} B each; others {:.1} s{}",
            self.contender.title(),
            self.rate,
            self.client_cpu,
            self.postgres_cpu,
            self.kafka_cpu,
            self.peak_mib.unwrap_or_default(),
            self.wal_bytes,
            self.others_cpu,
            if self.is_disturbed() { " (disturbed)" } else { "" }
        )
    }
}

/// Nobody's speed counts whose rows are not those of the floor, or else of whoever ran first.
///
/// # Errors
/// [`Error::Wrong`].
pub fn compare(work: &'static str, trials: &[Trial]) -> Result<(), Error> {
    let Some(first) = trials.first() else { return Ok(()) };
    match trials.iter().find(|trial| trial.rows != first.rows) {
        None => Ok(()),
        Some(other) => Err(Error::Wrong {
            contender: other.contender.title(),
            work,
            found: other.rows.clone(),
            wanted: first.rows.clone(),
        }),
    }
}

/// Measures one run.
pub struct Meter {
    servers: Servers,
    wal: i64,
    begin: Option<(Usage, u64)>,
    end: Option<(Usage, Option<f64>)>,
}

impl Meter {
    /// Before the contender is started: all of its WAL counts.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Harness`].
    pub async fn new(rig: &Rig, rows: &mut Rows) -> Result<Self, Error> {
        rig.checkpoint().await?;
        let parts = rig.world.parts();
        let of = |server: &harness::Server| server.id().map_or(0, |id| id.pid);
        let servers = Servers {
            postgres: of(&parts.postgres.server),
            kafka: of(&parts.kafka.server),
            registry: of(&parts.registry.server),
        };
        Ok(Self { servers, wal: rows.wal().await?, begin: None, end: None })
    }

    /// The work has begun, and so much of it is done already.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn begin(&mut self, done: u64) -> Result<(), Error> {
        self.begin = Some((Usage::read(self.servers)?, done));
        Ok(())
    }

    /// Bytes of WAL since this was made.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn written(&self, rows: &mut Rows) -> Result<i64, Error> {
        Ok(rows.wal().await? - self.wal)
    }

    /// Waits until no rows have been written for a while, and tells since when; `check` ends it.
    ///
    /// # Errors
    /// [`Error::Database`], or that of `check`.
    pub async fn quiet(
        &self,
        rows: &mut Rows,
        check: impl Fn() -> Result<(), Error>,
    ) -> Result<Instant, Error> {
        let (mut written, mut moved) = (self.written(rows).await?, Instant::now());
        while moved.elapsed() < QUIET {
            check()?;
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.written(rows).await?;
            if now - written > WAL_OF_SERVER {
                (written, moved) = (now, Instant::now());
            }
        }
        Ok(moved)
    }

    /// The work is done; the contender's process may still run.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn end(&mut self, process: Option<i32>) -> Result<(), Error> {
        self.end_at(Instant::now(), process)
    }

    /// As [`Meter::end`], of work that was done a short while ago.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn end_at(&mut self, at: Instant, process: Option<i32>) -> Result<(), Error> {
        let usage = Usage { at, ..Usage::read(self.servers)? };
        self.end = Some((usage, process.and_then(peak_mib)));
        Ok(())
    }

    /// What was measured of so many records, or samples, with the rows that are there now.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn trial(
        self,
        contender: Contender,
        count: u64,
        rows: &mut Rows,
    ) -> Result<Trial, Error> {
        let wal = self.written(rows).await?;
        let (begin, done) = self.begin.expect("a contender has begun before it is asked");
        let (end, peak_mib) = self.end.expect("a contender has ended before it is asked");
        let measured = (count - done) as f64;
        let seconds = (end.at - begin.at).as_secs_f64();
        let per_million = |begin: f64, end: f64| (end - begin) / measured * 1e6;
        Ok(Trial {
            contender,
            seconds,
            rate: measured / seconds,
            client_cpu: per_million(begin.client, end.client),
            postgres_cpu: per_million(begin.postgres, end.postgres),
            kafka_cpu: per_million(begin.kafka, end.kafka),
            others_cpu: end.others - begin.others,
            peak_mib,
            wal_bytes: wal as f64 / count as f64,
            rows: rows.digest().await?,
        })
    }
}
