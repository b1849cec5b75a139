//! The peers: fetched when they are needed, run as their documentation recommends.

use crate::error::Error;
use crate::produce::flat_topic;
use crate::rig::{PATIENCE, Rig, Rows, attributes};
use crate::trial::{Contender, Meter, Trial};
use harness::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use workloads::Workload;

/// How often the WAL is looked at: it tells the first write.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// So much WAL is rows, and not the server's own housekeeping.
const WAL_OF_ROWS: i64 = 64 * 1024;

/// What a peer is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// Large fetches and batches.
    Throughput,
    /// What has arrived is written at once.
    Latency,
}

/// A peer that is there.
#[derive(Debug)]
pub struct Peer {
    /// Which.
    pub contender: Contender,
    folder: PathBuf,
}

impl Peer {
    /// Fetches it, or finds that it was.
    ///
    /// # Errors
    /// What Maven or Go said.
    pub fn fetch(contender: Contender) -> Result<Self, Error> {
        let name = format!("{contender:?}").to_lowercase();
        let script = file("fetch.sh");
        let mut command = Command::new(&script);
        let output = command.arg(name).stdin(Stdio::null()).output().map_err(Error::at(&script))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(Self { contender, folder: text(&output.stdout).into() });
        }
        Err(Error::Command { what: "fetching a peer", printed: text(&output.stderr) })
    }

    /// Whether it is known to do a workload: an update of some columns is not what these sinks are
    /// made for, and Redpanda Connect stops at a key that is twice in one batch.
    #[must_use]
    pub fn can(&self, workload: Workload) -> bool {
        match workload {
            Workload::Partial => false,
            Workload::Hot => self.contender != Contender::Redpanda,
            Workload::Load | Workload::Unchanged | Workload::Changed => true,
        }
    }

    /// Does the workload in `rows`.
    ///
    /// # Errors
    /// If it ends or takes too long.
    pub async fn run(
        &self,
        rig: &Rig,
        workload: Workload,
        rows: &mut Rows,
    ) -> Result<Trial, Error> {
        let mut meter = Meter::new(rig, rows).await?;
        let topic = flat_topic(workload);
        let program = self.start(rig, (&topic, &rows.url), Tuning::Throughput)?;
        let started = Instant::now();
        while meter.written(rows).await? < WAL_OF_ROWS {
            self.check(&program, started)?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        meter.begin(0)?;
        let done = format!(
            "SELECT count(*) FROM vm WHERE version >= {}",
            workload.last_versions(rig.records, rig.epoch).micros()
        );
        loop {
            let quiet_since = meter.quiet(rows, || self.check(&program, started)).await?;
            meter.end_at(quiet_since, program.id().map(|id| id.pid))?;
            if rows.number(&done).await?.cast_unsigned() == workload.objects(rig.records) {
                break;
            }
        }
        program.kill();
        meter.trial(self.contender, rig.records, rows).await
    }

    /// Starts it from a topic to a database.
    ///
    /// # Errors
    /// If it can't be.
    pub fn start(
        &self,
        rig: &Rig,
        (topic, url): (&str, &str),
        tuning: Tuning,
    ) -> Result<Program, Error> {
        let number = rig.next();
        let folder = rig.world.folder().join(format!("peer-{number}"));
        fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        let name = self.contender.title();
        let job = Job { rig, topic, url, tuning, folder, name: format!("bench-{number}") };
        let command = match self.contender {
            Contender::Redpanda => job.redpanda(&self.folder)?,
            _ => job.debezium(&self.folder)?,
        };
        Ok(rig.world.run(name, command, |command| command)?)
    }

    fn check(&self, program: &Program, started: Instant) -> Result<(), Error> {
        if program.status().is_none() && started.elapsed() < PATIENCE {
            return Ok(());
        }
        let log = program.log().to_path_buf();
        Err(Error::Ended { contender: self.contender.title(), log })
    }
}

/// What a peer is to do.
struct Job<'a> {
    rig: &'a Rig,
    topic: &'a str,
    url: &'a str,
    tuning: Tuning,
    folder: PathBuf,
    name: String,
}

impl Job<'_> {
    fn debezium(&self, parts: &Path) -> Result<Command, Error> {
        let parts = parts.display();
        let worker = format!(
            "{}bootstrap.servers={}\nvalue.converter.registry.url={}\n\
             offset.storage.file.filename={}\nplugin.path={parts}/plugins\n",
            read("worker.properties")?,
            self.rig.world.parts().kafka.address(),
            self.rig.world.parts().registry.url(),
            self.folder.join("offsets").display()
        );
        let Place { user, password, address } = Place::of(self.url);
        let (bytes, wait) = match self.tuning {
            Tuning::Throughput => (1 << 20, 100),
            Tuning::Latency => (1, 10),
        };
        let sink = format!(
            "{}name={}\ntopics={}\nconnection.url=jdbc:postgresql://{address}?\
             reWriteBatchedInserts=true\nconnection.username={user}\n\
             connection.password={password}\n\
             consumer.override.fetch.min.bytes={bytes}\n\
             consumer.override.fetch.max.wait.ms={wait}\n",
            read("debezium.properties")?,
            self.name,
            self.topic
        );
        let mut command = Command::new("java");
        command.args(["-Xms1g", "-Xmx1g"]);
        let log = file("../../harness/config/log4j2.properties");
        command.arg(format!("-Dlog4j2.configurationFile={}", log.display()));
        command.arg("-cp").arg(format!("{parts}/libs/*:{parts}/classes"));
        command.arg("org.apache.kafka.connect.cli.ConnectStandalone");
        command.arg(self.write("worker.properties", worker)?);
        command.arg(self.write("sink.properties", sink)?);
        Ok(command)
    }

    fn redpanda(&self, parts: &Path) -> Result<Command, Error> {
        let names: Vec<String> = ["source", "native_id", "version"]
            .map(str::to_owned)
            .into_iter()
            .chain(attributes())
            .collect();
        let list =
            |name: fn(&String) -> String| names.iter().map(name).collect::<Vec<_>>().join(", ");
        let (bytes, wait, period) = match self.tuning {
            Tuning::Throughput => ("1MiB", "100ms", "200ms"),
            Tuning::Latency => ("1B", "10ms", "10ms"),
        };
        let config = [
            ("${FETCH_MIN}", bytes.to_owned()),
            ("${FETCH_WAIT}", wait.to_owned()),
            ("${PERIOD}", period.to_owned()),
            ("${KAFKA}", self.rig.world.parts().kafka.address()),
            ("${REGISTRY}", self.rig.world.parts().registry.url()),
            ("${DATABASE}", format!("{}?sslmode=disable", self.url)),
            ("${TOPIC}", self.topic.to_owned()),
            ("${GROUP}", self.name.clone()),
            ("${BATCH}", (PARAMETERS_MAX / names.len()).to_string()),
            ("${COLUMNS}", format!("[ {} ]", list(Clone::clone))),
            ("${VALUES}", format!("[ {} ]", list(|name| format!("this.{name}")))),
            ("${SETS}", list(|name| format!("{name} = excluded.{name}"))),
        ];
        let config = config
            .iter()
            .fold(read("redpanda.yaml")?, |text, (name, value)| text.replace(name, value));
        let mut command = Command::new(parts.join("redpanda-connect"));
        command.arg("run").arg(self.write("redpanda.yaml", config)?);
        Ok(command)
    }

    fn write(&self, name: &str, text: String) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::at(&path))?;
        Ok(path)
    }
}

/// The most parameters of one statement that PostgreSQL takes, with some room.
const PARAMETERS_MAX: usize = 65_000;

/// The parts of a database's URL.
struct Place<'a> {
    user: &'a str,
    password: &'a str,
    address: &'a str,
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> Self {
        let rest = url.trim_start_matches("postgres://");
        let (login, address) = rest.split_once('@').unwrap_or(("", rest));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Self { user, password, address }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

fn read(name: &str) -> Result<String, Error> {
    fs::read_to_string(file(name)).map_err(Error::at(file(name)))
}
