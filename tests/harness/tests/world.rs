//! What a test of the pipeline may rely on.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fmt::Debug;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use harness::{
    Error, Inventory, Kafka, KafkaPorts, Lifetime, Program, Template, World, wait_until,
};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LONG: Duration = Duration::from_secs(60);

static FILLED: Template = Template::new("filled", |url| {
    Box::pin(async move {
        let mut owner = PgConnection::connect(&url).await?;
        sqlx::raw_sql("CREATE TABLE t AS SELECT 42 AS answer").execute(&mut owner).await?;
        Ok(())
    })
});

#[tokio::test]
async fn every_part_of_a_world_works() {
    let world = World::start("every_part", &FILLED).await.unwrap();

    let mut database = PgConnection::connect(world.database_url()).await.unwrap();
    let answer: i32 =
        sqlx::query_scalar("SELECT answer FROM t").fetch_one(&mut database).await.unwrap();
    assert_eq!(answer, 42);

    assert_eq!(http(&world, "GET", "/subjects", "").await, "[]");

    let echo = python(&world, "tests/round_trip.py", "hello");
    assert!(echo.wait(LONG).await.unwrap().success(), "{}", echo.output().unwrap());
    assert_eq!(echo.output().unwrap(), "received hello\n");

    let vcsim = world.vcsim(Inventory::Vms(4)).await.unwrap();
    let vms = vcsim.govc(&["find", "/", "-type", "m"]).await.unwrap();
    assert_eq!(vms.lines().count(), 4);
    let vm = vms.lines().next().unwrap();
    vcsim.govc(&["vm.power", "-off", vm]).await.unwrap();
    let error = vcsim.govc(&["vm.power", "-off", "nonsense"]).await.unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}

#[tokio::test]
async fn worlds_do_not_see_each_other() {
    let (one, other) =
        tokio::try_join!(World::start("same_name", &FILLED), World::start("same_name", &FILLED))
            .unwrap();
    assert_ne!(one.topic_prefix(), other.topic_prefix());
    assert_ne!(one.folder(), other.folder());

    let mut one = PgConnection::connect(one.database_url()).await.unwrap();
    sqlx::raw_sql("DROP TABLE t").execute(&mut one).await.unwrap();
    let mut other = PgConnection::connect(other.database_url()).await.unwrap();
    sqlx::raw_sql("SELECT * FROM t").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn killed_servers_come_back_with_their_data() {
    let world = World::start_alone("killed", &FILLED).await.unwrap();
    let parts = world.parts();
    let schema = r#"{"schema": "{\"type\": \"string\"}"}"#;
    let registered = http(&world, "POST", "/subjects/s/versions", schema).await;
    assert!(registered.contains("\"id\""), "{registered}");
    let sent = python(&world, "tests/round_trip.py", "before");
    assert!(sent.wait(LONG).await.unwrap().success(), "{}", sent.output().unwrap());

    for server in [&parts.kafka.server, &parts.registry.server, &parts.postgres.server] {
        let before = server.id();
        server.kill();
        assert_eq!(server.id(), None);
        server.restart().await.unwrap();
        assert_ne!(server.id(), before);
    }

    assert_eq!(http(&world, "POST", "/subjects/s/versions", schema).await, registered);
    let mut database = PgConnection::connect(world.database_url()).await.unwrap();
    sqlx::raw_sql("SELECT * FROM t").execute(&mut database).await.unwrap();
    // The topic is there already, which is what its creation now complains about.
    let refused = python(&world, "tests/round_trip.py", "after");
    assert!(!refused.wait(LONG).await.unwrap().success());
    assert!(refused.output().unwrap().contains("TOPIC_ALREADY_EXISTS"));
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_its_log() {
    let world = World::start("taken_port", &Template::EMPTY).await.unwrap();
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [broker, controller] = [0, 1].map(|i| taken[i].local_addr().unwrap().port());
    let ports = KafkaPorts { broker, controller };

    let folder = world.folder().join("kafka");
    let kafka = Kafka::launch(&folder, ports, Lifetime::Test).await.unwrap();
    let error = kafka.server.ready().await.unwrap_err();

    assert!(matches!(error, Error::Ended { .. }), "{error}");
    assert!(error.to_string().contains(&kafka.server.log().display().to_string()), "{error}");
    assert!(error.to_string().contains("Address already in use"), "{error}");
}

#[tokio::test]
async fn a_wait_in_vain_tells_what_was_seen() {
    let never = async || Err::<(), _>("2 rows");
    let error = wait_until("3 rows", Duration::ZERO, never).await.unwrap_err();
    check(&error, "waited 0 s for 3 rows; last seen: 2 rows");
}

#[tokio::test]
async fn an_absent_binary_is_named() {
    let world = World::start("absent", &Template::EMPTY).await.unwrap();
    let error = world.program("no-such-program", |command| command).err().unwrap();
    assert!(error.to_string().contains("no-such-program is not built: run"), "{error}");
}

/// `Debug` too, because that is what `unwrap` shows.
fn check(error: &(impl Debug + ToString), expected: &str) {
    assert_eq!(error.to_string(), expected);
    assert_eq!(format!("{error:?}"), expected);
}

fn python(world: &World, script: &str, argument: &str) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    world.python(&script, |command| command.arg(argument)).unwrap()
}

/// The body of the registry's answer.
async fn http(world: &World, method: &str, path: &str, body: &str) -> String {
    let url = world.parts().registry.url();
    let (host, base) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{base}{path} HTTP/1.0\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
