//! Servers that crash, are gone for a while, or come back with an older state, under load.

use harness::{Program, World, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pipeline::{LONG, Load, MIGRATED, Outcome, complaints};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use wire::{Registry, RegistrySettings, SchemaId};

/// Longer than the group waits for a member: six seconds.
const GONE: Duration = Duration::from_secs(10);

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
        let members = [load.persister(&world, "slot-0")?, load.persister(&world, "slot-1")?];
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

/// Lets PostgreSQL lose what it has committed and not written.
pub(super) async fn crash(world: &World) -> Outcome<()> {
    let server = &world.parts().postgres.server;
    let id = server.id().ok_or("PostgreSQL does not run")?;
    kill(Pid::from_raw(id.pid), IMMEDIATE)?;
    let gone = wait_until("PostgreSQL's end", LONG, async || {
        if server.id().is_none() { Ok(()) } else { Err("it runs") }
    });
    Ok(gone.await?)
}

/// Lets nobody in. A statement of its own: whoever is thrown out would come in again before its
/// commit.
const CLOSE: &str = "ALTER DATABASE \"{}\" ALLOW_CONNECTIONS false";

/// Ends most connections of a database, whose name stands for `{}`.
pub(super) const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = '{}' AND random() < 0.7";

/// Throws out whoever is connected.
const THROW_OUT: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'";

impl Surroundings {
    async fn crash_database(&mut self) -> Outcome<()> {
        crash(&self.world).await?;
        let server = &self.world.parts().postgres.server;
        self.load.publish_during(async { Ok(server.restart().await?) }).await
    }

    /// Runs statements one by one, in which `{}` stands for the database, while the load goes on.
    async fn administer(&mut self, statements: &[&str]) -> Outcome<()> {
        let postgres = &self.world.parts().postgres;
        let name = self.world.database_url().rsplit('/').next().unwrap_or_default();
        let done = async {
            for statement in statements {
                postgres.administer("tests", statement.replace("{}", name)).await?;
            }
            Ok(())
        };
        self.load.publish_during(done).await
    }
}

/// Each transaction that has moved positions waits for this lock before its commit.
const HOLD: &str = "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(1);
        RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON tributary.position
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
    SELECT pg_advisory_lock(1)";
const HELD: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";

impl Surroundings {
    /// Kills both persisters when PostgreSQL has committed and Kafka can't have heard of it.
    async fn crash_between_commits(&mut self) -> Outcome<()> {
        let mut database = PgConnection::connect(self.world.database_url()).await?;
        sqlx::raw_sql(HOLD).execute(&mut database).await?;
        let held = |wanted: bool, mut database: PgConnection| async move {
            wait_until("transactions before their commit", LONG, async || {
                let held = sqlx::query_scalar::<_, i64>(HELD).fetch_one(&mut database).await;
                let held = held.map_err(|error| error.to_string())?;
                if (held > 0) == wanted { Ok(()) } else { Err(format!("{held} are held")) }
            })
            .await?;
            Ok(database)
        };
        let mut database = self.load.publish_during(held(true, database)).await?;
        let kafka = self.world.parts().kafka.server.id().ok_or("Kafka does not run")?;
        kill(Pid::from_raw(kafka.pid), Signal::SIGSTOP)?;
        let release = "DROP TRIGGER hold ON tributary.position";
        sqlx::raw_sql("SELECT pg_advisory_unlock(1)").execute(&mut database).await?;
        let mut database = held(false, database).await?;
        self.members.iter().for_each(Program::kill);
        kill(Pid::from_raw(kafka.pid), Signal::SIGCONT)?;
        sqlx::raw_sql(release).execute(&mut database).await?;
        self.members.iter().try_for_each(Program::restart)?;
        self.load.publish(100).await
    }
}

#[tokio::test]
async fn a_database_that_loses_commits_or_connections_or_is_gone_or_goes_back_loses_no_record()
-> Outcome<()> {
    let mut all = Surroundings::start("database", 6).await?;
    for _ in 0..3 {
        all.load.publish_some(200).await?;
        all.crash_database().await?;
    }
    all.load.publish(100).await?;
    all.prove("3 crashes of PostgreSQL").await?;

    for _ in 0..10 {
        all.load.publish_some(100).await?;
        all.administer(&[TERMINATE]).await?;
    }
    all.prove("10 times lost connections").await?;

    let revoked = all.members[1].output()?.matches("revoked").count();
    let postgres = &all.world.parts().postgres.server;
    postgres.kill();
    let since = Instant::now();
    while since.elapsed() < GONE {
        all.load.publish(10).await?;
    }
    all.load.publish_during(async { Ok(postgres.restart().await?) }).await?;
    all.prove("a database that was gone for a while").await?;
    assert_eq!(all.members[1].output()?.matches("revoked").count(), revoked);

    let open = "ALTER DATABASE \"{}\" ALLOW_CONNECTIONS true";
    let copy = "CREATE DATABASE \"{}-old\" TEMPLATE \"{}\" OWNER tributary";
    all.administer(&[CLOSE, THROW_OUT, copy, open]).await?;
    all.load.publish(200).await?;
    // The older state knows other owners than those of now.
    all.members[0].restart()?;
    all.load.publish(300).await?;
    let rename = "ALTER DATABASE \"{}-old\" RENAME TO \"{}\"";
    all.administer(&[CLOSE, THROW_OUT, "DROP DATABASE \"{}\"", rename]).await?;
    all.load.publish(100).await?;
    all.prove("a restore of an old backup").await
}

#[tokio::test]
async fn a_kafka_or_a_registry_that_is_gone_for_a_while_is_waited_for() -> Outcome<()> {
    let mut all = Surroundings::start("gone", 7).await?;
    for _ in 0..2 {
        all.load.publish_some(200).await?;
        let kafka = &all.world.parts().kafka.server;
        kafka.kill();
        all.load.publish_during(async { Ok(kafka.restart().await?) }).await?;
    }
    all.load.publish(100).await?;
    all.prove("2 crashes of Kafka").await?;
    all.crash_between_commits().await?;
    all.prove("a commit that Kafka has not heard of").await?;

    // A program that starts has met no schema yet.
    let registry = &all.world.parts().registry.server;
    registry.kill();
    all.members[0].restart()?;
    all.load.publish(400).await?;
    all.load.publish_during(async { Ok(registry.restart().await?) }).await?;
    all.prove("a registry that was gone").await?;

    // A registry may write its schemas in another form after a migration.
    let mut database = PgConnection::connect(all.world.database_url()).await?;
    let form = "UPDATE tributary.schema SET json = jsonb_pretty(json::jsonb)";
    sqlx::query(form).execute(&mut database).await?;
    all.members[1].restart()?;
    all.load.publish(100).await?;
    all.prove("schemas in another form").await?;

    // What is not of an entity type is remembered, too.
    let contract =
        "SELECT count(*) FROM tributary.schema WHERE subject LIKE 'tributary.inventory.%'";
    let contract: i64 = sqlx::query_scalar(contract).fetch_one(&mut database).await?;
    assert_eq!(contract, 2, "deletes and extents");
    all.a_registry_that_was_made_anew().await
}

impl Surroundings {
    /// It may be empty; but when it gives a known id to another schema, whoever runs must end, and
    /// whoever starts.
    async fn a_registry_that_was_made_anew(&mut self) -> Outcome<()> {
        let registry = &self.world.parts().registry;
        self.load.publish_during(async { Ok(registry.restart_empty().await?) }).await?;
        self.members[1].restart()?;
        self.load.publish(100).await?;
        self.prove("a registry without schemas").await?;

        let registry = RegistrySettings::plain(&self.world.parts().registry.url());
        let registry = Registry::new(&registry)?;
        let other = r#"{"type":"record","name":"Other","fields":[]}"#;
        assert_eq!(registry.register("Other", other).await?, SchemaId(1));
        for (number, member) in self.members.iter().enumerate() {
            let ended = self.load.publish_during(async { Ok(member.wait(LONG).await?) }).await?;
            assert_eq!(ended.code(), Some(64), "{number}");
        }
        self.members[1].restart()?;
        self.load.publish(100).await?;
        let member = &self.members[1];
        let ended = self.load.publish_during(async { Ok(member.wait(LONG).await?) }).await?;
        assert_eq!(ended.code(), Some(64));
        let log = member.output()?;
        assert!(log.contains("the registry has another schema under id 1 than before"), "{log}");
        Ok(())
    }
}
