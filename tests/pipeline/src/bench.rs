//! A persister that runs on a world of its own, and what a test asks of it.

use crate::load::{all_applied, ends};
use crate::{LONG, MIGRATED, Outcome, Source};
use harness::{Program, World, wait_until};
use records::Topic;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::KafkaSettings;

/// The schema of the tests' things.
pub const WIDGET: &str = r#"{"type":"record","name":"Widget","namespace":"test","fields":[
    {"name":"source","type":"string"},
    {"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"name","type":["null","string"],"default":null},
    {"name":"size","type":["null","long"],"default":null},
    {"name":"tags","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"labels","type":["null",{"type":"map","values":"string"}],"default":null}]}"#;

/// A world, a source of widgets, a persister.
pub struct Bench {
    /// The surroundings.
    pub world: World,
    /// The source.
    pub source: Source,
    /// The world's database, as its owner.
    pub database: PgConnection,
    /// The program under test.
    pub persister: Program,
}

impl Bench {
    /// Starts everything.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(name: &str) -> Outcome<Self> {
        Self::start_with(name, &[]).await
    }

    /// Starts everything, the persister with these variables in its environment.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start_with(name: &str, variables: &[(&str, &str)]) -> Outcome<Self> {
        Self::on(World::start(name, &MIGRATED).await?, variables).await
    }

    /// Starts everything on servers of its own, which the test may break.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start_alone(name: &str) -> Outcome<Self> {
        Self::on(World::start_alone(name, &MIGRATED).await?, &[]).await
    }

    async fn on(world: World, variables: &[(&str, &str)]) -> Outcome<Self> {
        let source = Source::start(&world, WIDGET).await?;
        let persister = persister(&world, "slot-0", variables)?;
        let database = PgConnection::connect(world.database_url()).await?;
        Ok(Self { world, source, database, persister })
    }

    /// Waits until the view shows exactly this: id, name, size.
    ///
    /// # Errors
    /// What it shows instead.
    pub async fn shows(&mut self, wanted: &[(&str, Option<&str>, Option<i64>)]) -> Outcome<()> {
        let wanted = format!("{wanted:?}");
        wait_until(&format!("rows {wanted}"), LONG, async || {
            let rows = self.rows().await.map_err(|error| error.to_string())?;
            if rows == wanted { Ok(()) } else { Err(rows) }
        })
        .await?;
        Ok(())
    }

    async fn rows(&mut self) -> Result<String, sqlx::Error> {
        let rows: Vec<(String, Option<String>, Option<i64>)> =
            sqlx::query_as("SELECT native_id, name, size FROM inventory.widget ORDER BY 1")
                .fetch_all(&mut self.database)
                .await?;
        Ok(format!("{rows:?}"))
    }

    /// Runs statements as the owner of the database.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub async fn sql(&mut self, statements: &str) -> Outcome<()> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.database).await?;
        Ok(())
    }

    /// Waits until a question about numbers has this answer.
    ///
    /// # Errors
    /// The answer that it has instead.
    pub async fn answers(&mut self, question: &str, wanted: Option<i64>) -> Outcome<()> {
        wait_until(&format!("{wanted:?} from {question}"), LONG, async || {
            let asked = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(question));
            let answer = asked.fetch_one(&mut self.database).await.map_err(|e| e.to_string())?;
            if answer == wanted { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await?;
        Ok(())
    }

    /// Waits until what is on the inventory's topics is applied.
    ///
    /// # Errors
    /// Nothing moves any more.
    pub async fn catches_up(&mut self) -> Outcome<()> {
        let world = &self.world;
        let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
        let ends = ends(&kafka, &[Topic::InventoryLive, Topic::InventorySnapshot]).await?;
        all_applied(&mut self.database, &ends).await
    }

    /// Waits until the persister has all partitions of a topic, and no lag.
    ///
    /// # Errors
    /// What it tells instead.
    pub async fn has_no_lag(&self, topic: Topic) -> Outcome<()> {
        let topic = topic.name(&self.world.topic_prefix());
        for partition in 0..4 {
            let labels = format!("{{topic=\"{topic}\",partition=\"{partition}\"}}");
            self.admin_shows("/metrics", &format!("tributary_lag_records{labels} 0\n")).await?;
        }
        Ok(())
    }

    /// Runs one of the persister's commands to its end; gives its exit code and what it printed.
    ///
    /// # Errors
    /// It does not end.
    pub async fn command(&self, arguments: &[&str]) -> Outcome<(Option<i32>, String)> {
        let group = self.world.topic_prefix();
        let program = self
            .world
            .program("persister", |command| command.args(arguments).args(["--group", &group]))?;
        let code = program.wait(LONG).await?.code();
        Ok((code, program.output()?))
    }

    /// Waits until a path of the persister's admin port shows a text.
    ///
    /// # Errors
    /// What it shows instead.
    pub async fn admin_shows(&self, path: &str, wanted: &str) -> Outcome<()> {
        wait_until(&format!("{wanted} at {path}"), LONG, async || {
            let text = admin(&self.world, "slot-0", path).await.map_err(|e| e.to_string())?;
            if text.contains(wanted) { Ok(()) } else { Err(text) }
        })
        .await?;
        Ok(())
    }
}

/// Starts a persister in a slot, with these variables in its environment.
///
/// # Errors
/// Why it does not start.
pub fn persister(world: &World, slot: &str, variables: &[(&str, &str)]) -> Outcome<Program> {
    // The tests share a broker, and a slot's name is unique within its group.
    let group = world.topic_prefix();
    let arguments = ["run", "--instance", slot, "--group", &group];
    Ok(world.program("persister", |command| {
        command.args(arguments).env("TRIBUTARY_ADMIN__ADDRESS_FILE", address_file(world, slot));
        command.envs(variables.iter().copied())
    })?)
}

/// What a path of the admin port of the persister in a slot answers.
///
/// # Errors
/// Why it does not answer.
pub async fn admin(world: &World, slot: &str, path: &str) -> Outcome<String> {
    let address = std::fs::read_to_string(address_file(world, slot))?;
    let mut stream = TcpStream::connect(address.trim()).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: tests\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn address_file(world: &World, slot: &str) -> PathBuf {
    world.folder().join(format!("{slot}.address"))
}
