//! How long nothing is applied when a persister is killed and started again.

use crate::error::Error;
use crate::ours;
use crate::produce::{lane, prefix};
use crate::rig::{PATIENCE, Rig, Rows};
use crate::trial::Contender;
use harness::wait_until;
use std::time::Instant;
use workloads::Workload;

/// What it should take at most.
pub const AIM_SECONDS: f64 = 3.0;

/// How often it is killed while it applies one backlog.
const KILLS: u64 = 5;

/// Its lasting name in the group, as a worker of an orchestrator has one.
const INSTANCE: &str = "bench-0";

/// Lets a persister load all objects and kills it on its way, so often; gives the seconds from each
/// kill to the next commit. In the end the rows must be as `wanted`.
///
/// # Errors
/// What stopped it, or that the rows are wrong.
pub async fn measure(
    rig: &Rig,
    wanted: &str,
    rounds: u32,
    say: fn(&str),
) -> Result<Vec<f64>, Error> {
    let mut seconds = Vec::new();
    for round in 1..=rounds {
        let mut rows = rig.new_database(true).await?;
        let found = one(rig, &mut rows).await?;
        say(&format!("round {round}: kills, seconds to the next commit: {found:.2?}"));
        seconds.extend(found);
        let found = rows.digest().await?;
        rig.drop(rows.close().await?).await?;
        if found != wanted {
            let (contender, wanted) = (Contender::Ours.title(), wanted.to_owned());
            return Err(Error::Wrong { contender, work: "kills", found, wanted });
        }
    }
    Ok(seconds)
}

async fn one(rig: &Rig, rows: &mut Rows) -> Result<Vec<f64>, Error> {
    let topic = lane(Workload::Load);
    let persister = ours::start(rig, &prefix(Workload::Load), &rows.url, Some(INSTANCE))?;
    let mut seconds = Vec::new();
    for kill in 1..=KILLS {
        ours::applied(rows, &topic, rig.records * kill / (KILLS + 1), &persister).await?;
        let moment = rows.text("SELECT clock_timestamp()::text").await?;
        let killed = Instant::now();
        persister.restart()?;
        end_of_connections(rows, &moment).await?;
        let done = ours::applied(rows, &topic, 0, &persister).await?;
        ours::applied(rows, &topic, done + 1, &persister).await?;
        seconds.push(killed.elapsed().as_secs_f64());
    }
    ours::applied(rows, &topic, rig.records, &persister).await?;
    ours::stop(&persister).await?;
    Ok(seconds)
}

/// What the dead process has asked for, its backend may still commit: that does not count.
async fn end_of_connections(rows: &mut Rows, began_before: &str) -> Result<(), Error> {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_start < '{began_before}'"
    );
    let ended =
        wait_until("the end of a dead process's connections", PATIENCE, async || {
            match rows.number(&query).await {
                Ok(0) => Ok(()),
                Ok(count) => Err(format!("{count} are left")),
                Err(error) => Err(error.to_string()),
            }
        });
    Ok(ended.await?)
}
