//! Records of a type whose table is not ready wait, alone, and become rows when it is.

use harness::World;
use pipeline::{Bench, LONG, MIGRATED, Outcome, Source, WIDGET, persister};
use records::{Topic, Value, Version};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const GADGET: &str = r#"{"type":"record","name":"Gadget","namespace":"test","fields":[
    {"name":"source","type":"string"},{"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"name","type":["null","string"],"default":null}]}"#;

const SPROCKET: &str = r#"{"type":"record","name":"Sprocket","namespace":"test","fields":[
    {"name":"source","type":"string"},{"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"teeth","type":["null","long"],"default":null}]}"#;

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

async fn send(source: &Source, topic: Topic, version: Version) -> Outcome<()> {
    for id in IDS {
        source.whole(topic, (id, version), &[]).await?;
    }
    Ok(())
}

/// A world whose persister may change rows, and no tables.
async fn without_rights(name: &str) -> Outcome<Bench> {
    let world = World::start(name, &MIGRATED).await?;
    let source = Source::start(&world, WIDGET).await?;
    let mut database = PgConnection::connect(world.database_url()).await?;
    let role = world.topic_prefix().replace('.', "");
    let rights = format!(
        "CREATE ROLE \"{role}\" LOGIN PASSWORD 'narrow';
        GRANT USAGE ON SCHEMA inventory, inventory_all, tributary TO \"{role}\";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tributary TO \"{role}\";
        ALTER DEFAULT PRIVILEGES IN SCHEMA inventory_all
            GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO \"{role}\""
    );
    sqlx::raw_sql(AssertSqlSafe(rights)).execute(&mut database).await?;
    let place = world.database_url().rsplit('@').next().unwrap_or_default();
    let url = format!("postgres://{role}:narrow@{place}");
    let persister = persister(&world, "slot-0", &[("DATABASE_URL", &url)])?;
    Ok(Bench { world, source, database, persister })
}

const WAITING: &str = "SELECT count(*) FROM tributary.waiting";
const SKIPPED: &str = "SELECT count(skipped_from) FROM tributary.position";

#[tokio::test]
async fn without_the_right_to_make_tables_a_type_waits_for_schemas_apply() -> Outcome<()> {
    let mut bench = without_rights("rights").await?;
    let gadgets = Source::start(&bench.world, GADGET).await?;
    // Somebody has made the table of gadgets.
    let folder = bench.world.folder().join("avro");
    std::fs::create_dir_all(&folder)?;
    let apply = async |bench: &Bench, file: &str, schema: &str| -> Outcome<()> {
        std::fs::write(folder.join(file), schema)?;
        let applied = bench.world.program("schemas", |command| {
            command.args(["apply", "--dir"]).arg(&folder).env("TRIBUTARY_TOPICS__PARTITIONS", "4")
        })?;
        applied.wait(LONG).await?;
        Ok(())
    };
    apply(&bench, "gadget.avsc", GADGET).await?;
    let version = Version::now();
    send(&bench.source, Topic::InventoryLive, version).await?;
    send(&bench.source, Topic::InventorySnapshot, version).await?;
    send(&gadgets, Topic::InventoryLive, version).await?;
    bench.answers("SELECT count(*) FROM inventory.gadget", Some(5)).await?;
    bench.answers(WAITING, Some(1)).await?;
    let hint: String =
        sqlx::query_scalar("SELECT hint FROM tributary.waiting WHERE type = 'widget'")
            .fetch_one(&mut bench.database)
            .await?;
    assert_eq!(hint, "run `schemas apply` as the owner");
    bench.admin_shows("/metrics", "tributary_persister_waiting_types 1").await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    // What waits also outlives the persister.
    bench.persister.kill();
    bench.persister.restart()?;
    apply(&bench, "widget.avsc", WIDGET).await?;
    bench.shows(&IDS.map(|id| (id, None, None))).await?;
    bench.answers(WAITING, Some(0)).await?;
    bench.answers(SKIPPED, Some(0)).await?;
    bench.answers("SELECT sum(next_offset)::bigint FROM tributary.position", Some(15)).await?;
    bench.admin_shows("/metrics", "tributary_persister_waiting_types 0").await
}

#[tokio::test]
async fn a_column_of_another_type_waits_for_the_statement_and_suspends_the_licence() -> Outcome<()>
{
    let mut bench = Bench::start("another").await?;
    let old = Source::start(&bench.world, SPROCKET).await?;
    let (first, teeth) = (Version::now(), [("teeth", Value::Long(7))]);
    old.whole(Topic::InventoryLive, ("a", first), &teeth).await?;
    let versions = "SELECT max(version) FROM inventory_all.sprocket WHERE native_id = 'a'";
    bench.answers("SELECT count(*) FROM pg_tables WHERE tablename = 'sprocket'", Some(1)).await?;
    bench.answers(versions, Some(first.micros())).await?;
    bench.sql("ALTER TABLE inventory_all.sprocket ADD COLUMN width text").await?;

    let width = r#",{"name":"width","type":["null","long"],"default":null}]}"#;
    let wider = format!("{}{width}", SPROCKET.trim_end_matches("]}"));
    let new = Source::start(&bench.world, &wider).await?;
    let later = Version::now();
    new.whole(Topic::InventoryLive, ("b", later), &[("width", Value::Long(3))]).await?;
    bench.answers(WAITING, Some(1)).await?;
    bench.answers(SKIPPED, Some(1)).await?;

    // A snapshot record that equals its row: with a licence it would change nothing.
    old.whole(Topic::InventorySnapshot, ("a", later), &teeth).await?;
    bench.answers(versions, Some(later.micros())).await?;

    let hint: String = sqlx::query_scalar("SELECT hint FROM tributary.waiting")
        .fetch_one(&mut bench.database)
        .await?;
    bench.sql(&hint).await?;
    bench.answers(WAITING, Some(0)).await?;
    bench.answers("SELECT max(width) FROM inventory_all.sprocket", Some(3)).await?;
    bench.answers(SKIPPED, Some(0)).await?;

    // Once everything was read again there is a licence.
    let last = Version::now();
    old.whole(Topic::InventorySnapshot, ("a", last), &teeth).await?;
    old.whole(Topic::InventorySnapshot, ("c", last), &teeth).await?;
    let of_c = versions.replace("'a'", "'c'");
    bench.answers(&of_c, Some(last.micros())).await?;
    bench.answers("SELECT sum(next_offset)::bigint FROM tributary.position", Some(5)).await?;
    bench.answers(versions, Some(later.micros())).await
}
