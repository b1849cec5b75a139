//! `persister run`, as a user runs it: its own defaults.

use crate::error::Error;
use crate::produce::prefix;
use crate::rig::{PATIENCE, Rig, Rows};
use crate::trial::{Contender, Meter, Trial};
use harness::Program;
use records::Topic;
use std::time::{Duration, Instant};
use workloads::Workload;

/// How often the positions are looked at: they tell the first commit.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a persister may take for its end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// What is on a topic and not in the rows.
#[derive(Debug, Clone)]
pub struct Backlog {
    /// What the names of all topics begin with.
    pub prefix: String,
    /// The one that has the records.
    pub topic: Topic,
    /// How many of its records are applied already.
    pub applied: u64,
    /// How many are not.
    pub records: u64,
    /// What counts in a record: itself, or its samples.
    pub each: u64,
}

/// Does the workload in `rows`.
///
/// # Errors
/// What the persister said, if it ends before its work is done.
pub async fn run(rig: &Rig, workload: Workload, rows: &mut Rows) -> Result<Trial, Error> {
    let (prefix, topic) = (prefix(workload), workload.lane());
    let backlog = Backlog { prefix, topic, applied: 0, records: rig.records, each: 1 };
    apply(rig, &backlog, rows).await
}

/// Applies a backlog to `rows`.
///
/// # Errors
/// What the persister said, if it ends before its work is done.
pub async fn apply(rig: &Rig, backlog: &Backlog, rows: &mut Rows) -> Result<Trial, Error> {
    let Backlog { prefix, topic, applied: before, records, each } = backlog;
    let topic = topic.name(prefix);
    let mut meter = Meter::new(rig, rows).await?;
    let persister = start(rig, prefix, &rows.url, None)?;
    let done = applied(rows, &topic, before + 1, &persister).await? - before;
    meter.begin(done * each)?;
    applied(rows, &topic, before + records, &persister).await?;
    meter.end(persister.id().map(|id| id.pid))?;
    stop(&persister).await?;
    meter.trial(Contender::Ours, records * each, rows).await
}

/// Starts a persister of the topics under a prefix, in a group of its own; `instance` is its
/// lasting name there.
///
/// # Errors
/// If it is not built.
pub fn start(rig: &Rig, prefix: &str, url: &str, instance: Option<&str>) -> Result<Program, Error> {
    let group = format!("bench-{}", rig.next());
    Ok(rig.world.program("persister", |command| {
        command
            .args(["run", "--group", &group])
            .env("TRIBUTARY_TOPIC_PREFIX", prefix)
            .env("DATABASE_URL", url)
            .envs(instance.map(|name| ("TRIBUTARY_PERSISTER__INSTANCE", name)))
    })?)
}

/// Ends a persister as an operator does.
///
/// # Errors
/// If it does not end.
pub async fn stop(persister: &Program) -> Result<(), Error> {
    persister.terminate();
    persister.wait(END_PATIENCE).await?;
    Ok(())
}

/// Waits until the persister owns a topic's partitions.
///
/// # Errors
/// If it ends or takes too long.
pub async fn owned(rows: &mut Rows, topic: &str, persister: &Program) -> Result<(), Error> {
    let query = format!("SELECT count(*) FROM tributary.position WHERE topic = '{topic}'");
    reached(rows, &query, 1, persister).await.map(|_count| ())
}

/// Waits until so many records of a topic are applied, and tells how many are.
///
/// # Errors
/// If the persister ends or takes too long.
pub async fn applied(
    rows: &mut Rows,
    topic: &str,
    wanted: u64,
    persister: &Program,
) -> Result<u64, Error> {
    let query = format!(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM tributary.position \
         WHERE topic = '{topic}'"
    );
    reached(rows, &query, wanted, persister).await
}

async fn reached(
    rows: &mut Rows,
    query: &str,
    wanted: u64,
    persister: &Program,
) -> Result<u64, Error> {
    let started = Instant::now();
    loop {
        let done = rows.number(query).await?.cast_unsigned();
        if done >= wanted {
            return Ok(done);
        }
        if persister.status().is_some() || started.elapsed() > PATIENCE {
            let log = persister.log().to_path_buf();
            return Err(Error::Ended { contender: Contender::Ours.title(), log });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
