//! Persisters that stop between two steps: what they began counts once or not at all, and nobody
//! waits for them for long.

use super::rebalances::join_as_slot_0;
use harness::{Program, World, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pipeline::{LONG, Load, MIGRATED, Outcome, complaints};
use records::Partition;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;
use wire::{PartitionStart, Positions};

/// A transaction that has moved positions waits right before its end as long as somebody holds lock
/// 1, and right after that as long as somebody holds lock 2. Who takes live partitions over from
/// another waits as long as somebody holds lock 3.
const BARRIERS: &str = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::int);
        RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER before_commit AFTER UPDATE ON tributary.position
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (OLD.next_offset <> NEW.next_offset) EXECUTE FUNCTION wait(1);
    CREATE TRIGGER after_positions AFTER UPDATE ON tributary.position FOR EACH ROW
        WHEN (OLD.next_offset <> NEW.next_offset) EXECUTE FUNCTION wait(2);
    CREATE TRIGGER after_taking_over AFTER UPDATE ON tributary.position FOR EACH ROW
        WHEN (OLD.owner <> NEW.owner AND NEW.topic LIKE '%live') EXECUTE FUNCTION wait(3)";

/// Where transactions wait.
struct Barrier {
    database: PgConnection,
}

impl Barrier {
    async fn start(world: &World) -> Outcome<Self> {
        let mut database = PgConnection::connect(world.database_url()).await?;
        sqlx::raw_sql(BARRIERS).execute(&mut database).await?;
        Ok(Self { database })
    }

    async fn run(&mut self, statement: &str) -> Outcome<()> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.database).await?;
        Ok(())
    }

    async fn close(&mut self, number: i32) -> Outcome<()> {
        self.run(&format!("SELECT pg_advisory_lock({number})")).await
    }

    async fn open(&mut self, number: i32) -> Outcome<()> {
        self.run(&format!("SELECT pg_advisory_unlock({number})")).await
    }

    /// Waits until somebody waits there, and gives the server's process.
    async fn arrives(&mut self) -> Outcome<i32> {
        Ok(wait_until("somebody waits", LONG, async || {
            let waits = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            let found = sqlx::query_scalar(waits).fetch_optional(&mut self.database).await;
            found.map_err(|error| error.to_string())?.ok_or_else(|| "nobody".to_owned())
        })
        .await?)
    }
}

pub(super) fn signal(program: &Program, signal: Signal) -> Outcome<()> {
    let id = program.id().ok_or("it does not run")?;
    Ok(kill(Pid::from_raw(id.pid), signal)?)
}

#[tokio::test]
async fn a_commit_whose_persister_was_killed_counts_once_or_not_at_all() -> Outcome<()> {
    let world = World::start("commits", &MIGRATED).await?;
    let mut load = Load::start(&world, 3).await?;
    let mut barrier = Barrier::start(&world).await?;
    let only = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    for happens in [true, false, true, false] {
        barrier.close(1).await?;
        let backend = load.publish_during(barrier.arrives()).await?;
        only.kill();
        only.restart()?;
        load.publish(50).await?;
        if !happens {
            barrier.run(&format!("SELECT pg_terminate_backend({backend})")).await?;
        }
        barrier.open(1).await?;
        load.publish(50).await?;
    }
    println!("4 commits: {:?}; it said {:#?}", load.prove().await?, complaints(&only)?);
    Ok(())
}

/// The group gives its partitions away after six seconds. What the server does for it has ended by
/// then.
#[tokio::test]
async fn a_persister_that_sleeps_in_a_transaction_is_not_waited_for() -> Outcome<()> {
    let world = World::start("sleeper", &MIGRATED).await?;
    let mut load = Load::start(&world, 4).await?;
    let mut barrier = Barrier::start(&world).await?;
    let sleeper = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    load.prove().await?;
    barrier.close(2).await?;
    load.publish_during(barrier.arrives()).await?;
    signal(&sleeper, Signal::SIGSTOP)?;
    barrier.open(2).await?;
    let other = load.persister(&world, "slot-1")?;
    load.publish(100).await?;
    let asleep = load.prove().await?;
    signal(&sleeper, Signal::SIGCONT)?;
    load.publish(400).await?;
    let proof = load.prove().await?;
    let words = [complaints(&sleeper)?, complaints(&other)?];
    println!("asleep: {asleep:?}, awake: {proof:?}; they said {words:#?}");
    assert!(sleeper.status().is_none(), "{}", sleeper.output()?);
    Ok(())
}

/// When it awakes it takes the snapshot partitions over from those to whom the group has given them
/// meanwhile.
#[tokio::test]
async fn a_persister_that_sleeps_while_it_takes_over_keeps_nothing_from_the_others() -> Outcome<()>
{
    let world = World::start("thief", &MIGRATED).await?;
    let mut load = Load::start(&world, 5).await?;
    let mut barrier = Barrier::start(&world).await?;
    let other = load.persister(&world, "slot-1")?;
    load.publish(50).await?;
    load.prove().await?;
    other.terminate();
    other.wait(LONG).await?;
    barrier.close(3).await?;
    let thief = load.persister(&world, "slot-0")?;
    load.publish_during(barrier.arrives()).await?;
    signal(&thief, Signal::SIGSTOP)?;
    barrier.open(3).await?;
    other.restart()?;
    load.publish(50).await?;
    let asleep = load.prove().await?;
    signal(&thief, Signal::SIGCONT)?;
    load.publish(400).await?;
    let proof = load.prove().await?;
    let words = [complaints(&thief)?, complaints(&other)?];
    println!("asleep: {asleep:?}, awake: {proof:?}; they said {words:#?}");
    let of_other = other.output()?;
    assert!(of_other.contains("taking them back"), "{of_other}");
    assert!(thief.status().is_none(), "{}", thief.output()?);
    Ok(())
}

#[tokio::test]
async fn of_two_persisters_in_one_slot_the_older_ends() -> Outcome<()> {
    let world = World::start("slot", &MIGRATED).await?;
    let mut load = Load::start(&world, 9).await?;
    let older = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    load.prove().await?;
    let newer = load.persister(&world, "slot-0")?;
    let ended = load.publish_during(async { Ok(older.wait(LONG).await?) }).await?;
    load.publish(100).await?;
    load.prove().await?;
    assert_eq!(ended.code(), Some(64));
    let log = older.output()?;
    assert!(
        log.contains("another member has joined the group under the name of this one"),
        "{log}"
    );
    assert!(newer.status().is_none());
    Ok(())
}

/// Takes a member's name in the group, and no partition.
struct Namesake;

impl Positions for Namesake {
    fn take_over(&self, _: &[Partition]) -> Vec<(Partition, PartitionStart)> {
        Vec::new()
    }

    fn released(&self, _: &[Partition]) {}
}

/// To Kafka a client that joins again after an outage is another one: the commits of before that it
/// repeats are fenced, for ever.
#[tokio::test]
async fn a_persister_that_is_fenced_by_itself_joins_again() -> Outcome<()> {
    let world = World::start("itself", &MIGRATED).await?;
    let mut load = Load::start(&world, 10).await?;
    let only = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    load.prove().await?;
    let (reader, _events) = join_as_slot_0(&world, Arc::new(Namesake))?;
    let joins_again = wait_until("the persister joins again", LONG, async || {
        let log = only.output().map_err(|error| error.to_string())?;
        if log.contains("none has replaced it; joining anew") { Ok(()) } else { Err(log) }
    });
    load.publish_during(async { Ok(joins_again.await?) }).await?;
    drop(reader);
    load.publish(100).await?;
    load.prove().await?;
    assert!(only.status().is_none(), "{}", only.output()?);
    Ok(())
}
