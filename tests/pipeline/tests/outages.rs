//! Servers that crash, are gone for a while, or come back with an older state, under load.
#![expect(clippy::print_stdout, reason = "the counts are for whoever reads the run")]

use harness::{Program, World, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pipeline::{LONG, Load, MIGRATED, Outcome, complaints, persister};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};

/// What `pg_ctl stop -m immediate` sends.
const IMMEDIATE: Signal = Signal::SIGQUIT;

struct Surroundings {
    world: World,
    load: Load,
    members: [Program; 2],
}

impl Surroundings {
    async fn start(name: &str, seed: u64) -> Outcome<Self> {
        let world = World::start_alone(name, &MIGRATED).await?;
        let mut load = Load::start(&world, seed).await?;
        let members = [persister(&world, "slot-0", &[])?, persister(&world, "slot-1", &[])?];
        load.publish(100).await?;
        Ok(Self { world, load, members })
    }

    /// Proves that what happened has cost nothing, and tells what the persisters said of it.
    async fn prove(&mut self, what: &str) -> Outcome<()> {
        let caught_up = Instant::now();
        let proof = self.load.prove().await?;
        let words = [complaints(&self.members[0])?, complaints(&self.members[1])?];
        println!("{what}: {proof:?} after {:.1?}; they said {words:#?}", caught_up.elapsed());
        for member in &self.members {
            assert!(member.status().is_none(), "{}", member.output()?);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_database_that_crashes_loses_commits_and_no_record() -> Outcome<()> {
    let mut all = Surroundings::start("database-crashes", 6).await?;
    for _ in 0..3 {
        all.load.publish_some(200).await?;
        let server = &all.world.parts().postgres.server;
        let id = server.id().ok_or("PostgreSQL does not run")?;
        kill(Pid::from_raw(id.pid), IMMEDIATE)?;
        let gone = wait_until("PostgreSQL's end", LONG, async || {
            if server.id().is_none() { Ok(()) } else { Err("it runs") }
        });
        gone.await?;
        all.load.publish_during(async { Ok(server.restart().await?) }).await?;
    }
    all.load.publish(100).await?;
    all.prove("3 crashes of PostgreSQL").await
}
