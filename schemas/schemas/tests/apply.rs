//! `schemas apply` on a real Kafka, registry and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::{Program, Template, World};
use sqlx::{Connection, PgConnection};
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

const HOST_NAME: &str = r#"{"name":"name","type":["null","string"],"default":null}"#;

fn write(folder: &Path, record: &str, attributes: &str) {
    let schema = format!(
        r#"{{"type":"record","name":"{record}","namespace":"test.apply","doc":"It's a {record}.",
        "fields":[{{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},{{"name":"update_mask","type":
        ["null",{{"type":"array","items":"string"}}],"default":null}},{attributes}]}}"#
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{record}.avsc")), schema).unwrap();
}

/// Runs `schemas apply`; gives its exit code and all that it printed.
async fn apply(world: &World, folder: &Path, variables: &[(&str, &str)]) -> (i32, String) {
    let program: Program = world
        .program("schemas", |command| {
            command.args(["apply", "--dir"]).arg(folder);
            command.env("TRIBUTARY_TOPICS__PARTITIONS", "3").envs(variables.iter().copied())
        })
        .unwrap();
    let code = program.wait(LONG).await.unwrap().code().unwrap();
    (code, program.output().unwrap())
}

fn line<'a>(output: &'a str, name: &str) -> &'a str {
    output.lines().find(|line| line.contains(name)).unwrap_or(output)
}

#[tokio::test]
async fn applying_makes_everything_and_again_nothing() {
    let world = World::start("apply", &Template::EMPTY).await.unwrap();
    let folder = world.folder().join("avro");
    write(&folder, "ApplyHost", HOST_NAME);
    write(
        &folder,
        "ApplyGuest",
        r#"{"name":"host_ref","type":["null","string"],"default":null,
        "tributary.references":"apply_host"},
        {"name":"disk_refs","type":["null",{"type":"array","items":"string"}],"default":null,
        "tributary.references":["apply_nothing","apply_host"]}"#,
    );

    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 0, "{output}");
    assert!(line(&output, "inventory.live").contains("3 partitions, 1 copy"), "{output}");
    assert!(line(&output, "test.apply.ApplyHost").contains("registered, id"), "{output}");

    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 0, "{output}");
    assert!(output.lines().all(|line| line.ends_with("unchanged")), "{output}");

    let mut database = PgConnection::connect(world.database_url()).await.unwrap();
    sqlx::raw_sql(
        "GRANT tributary_persister, tributary_reader TO CURRENT_USER;
        SET ROLE tributary_persister;
        INSERT INTO inventory_all.apply_host
            (source, native_id, version, alive, base_version, name)
            VALUES ('s', 'h', 1, true, 1, 'one');
        INSERT INTO inventory_all.apply_guest
            (source, native_id, version, alive, base_version, host_ref)
            VALUES ('s', 'g', 1, true, 1, 'h'), ('s', 'lost', 1, true, 1, 'nowhere');
        SELECT tributary.make_partitions('events.event_all', ARRAY[now()]);
        SELECT tributary.make_partitions('metrics.sample', ARRAY[now()]);
        INSERT INTO events.event_all
            (source, event_id, occurred_at, type, severity, message, details, related)
            VALUES ('s', 'e', now(), 't', 'info', '', '{}', '[]');
        INSERT INTO metrics.series (source, type, native_id, name, unit)
            VALUES ('s', 'apply_host', 'h', 'cpu', '');
        INSERT INTO metrics.sample SELECT id, now(), 1 FROM metrics.series;
        SELECT tributary.make_partitions('metrics.rollup_hour', ARRAY[now()]);
        INSERT INTO metrics.rollup_hour SELECT id, now(), 1, 1, 1, 1, 1 FROM metrics.series;
        SELECT tributary.name_objects();
        SELECT tributary.drop_partitions('metrics.sample', now() + interval '2 days');
        SET ROLE tributary_reader;
        SELECT FROM events.event, metrics.hourly, metrics.daily, metrics.daily_named",
    )
    .execute(&mut database)
    .await
    .unwrap();
    let names: Vec<Option<String>> =
        sqlx::query_scalar("SELECT host_name FROM inventory.apply_guest_detail ORDER BY native_id")
            .fetch_all(&mut database)
            .await
            .unwrap();
    assert_eq!(names, [Some("one".to_owned()), None]);
    let denied = sqlx::query("SELECT FROM inventory_all.apply_host").execute(&mut database).await;
    assert!(denied.unwrap_err().to_string().contains("permission denied"));
    let drop = "SELECT tributary.drop_partitions('events.event_all', 'infinity')";
    let denied = sqlx::query(drop).execute(&mut database).await;
    assert!(denied.unwrap_err().to_string().contains("permission denied"));

    check_object_names(&mut database).await;
    check_dangling(&mut database).await;

    // One more attribute: all views show it, last.
    write(
        &folder,
        "ApplyHost",
        &format!(r#"{HOST_NAME},{{"name":"size","type":["null","int"],"default":null}}"#),
    );
    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 0, "{output}");
    assert!(line(&output, "table      apply_host").contains("ADD COLUMN \"size\""), "{output}");
    assert!(line(&output, "apply_host_detail").contains("changed"), "{output}");
}

/// Also of a type whose table somebody made who is no owner, and for whoever may only write rows.
async fn check_object_names(database: &mut PgConnection) {
    sqlx::raw_sql(
        "RESET ROLE;
        CREATE TABLE inventory_all.apply_late (source text, native_id text, name text);
        CREATE VIEW inventory.apply_late AS SELECT * FROM inventory_all.apply_late;
        INSERT INTO inventory_all.apply_late VALUES ('s', 'l', 'late');
        SET ROLE tributary_persister;
        SELECT tributary.name_objects();
        SET ROLE tributary_reader",
    )
    .execute(&mut *database)
    .await
    .unwrap();
    let late = "SELECT name FROM metrics.object_name WHERE type = 'apply_late'";
    let late: Vec<Option<String>> =
        sqlx::query_scalar(late).fetch_all(&mut *database).await.unwrap();
    assert_eq!(late, [Some("late".to_owned())]);
    let names = "SELECT object_name FROM metrics.hourly_named WHERE name = 'cpu'";
    let names: Vec<Option<String>> = sqlx::query_scalar(names).fetch_all(database).await.unwrap();
    assert_eq!(names, [Some("one".to_owned())]);
}

/// Since the change of the row, or since the end of the target if that is later.
async fn check_dangling(database: &mut PgConnection) {
    sqlx::raw_sql(
        "RESET ROLE;
        INSERT INTO inventory_all.apply_host
            (source, native_id, version, alive, base_version, changed_at, gone_at)
            VALUES ('s', 'dead', 1, false, 1, 'yesterday', 'tomorrow');
        UPDATE inventory_all.apply_guest SET disk_refs = '{h,dead,never}' WHERE native_id = 'g';
        SET ROLE tributary_reader",
    )
    .execute(&mut *database)
    .await
    .unwrap();
    let dangling: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT native_id, attribute, target_id, since > now() FROM inventory.dangling_references \
         WHERE type = 'apply_guest' ORDER BY 1, 2, 3",
    )
    .fetch_all(&mut *database)
    .await
    .unwrap();
    let wanted = [
        ("g", "disk_refs", "dead", true),
        ("g", "disk_refs", "never", false),
        ("lost", "host_ref", "nowhere", false),
    ];
    let wanted = wanted.map(|(id, attribute, target, gone)| {
        (id.to_owned(), attribute.to_owned(), target.to_owned(), gone)
    });
    assert_eq!(dangling, wanted);
}

#[tokio::test]
async fn every_refusal_is_told_with_its_remedy() {
    let world = World::start("refusals", &Template::EMPTY).await.unwrap();
    let folder = world.folder().join("avro");
    write(&folder, "ApplyDisk", HOST_NAME);
    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 0, "{output}");

    let mut database = PgConnection::connect(world.database_url()).await.unwrap();
    sqlx::raw_sql(
        "DROP VIEW inventory.apply_disk CASCADE;
        ALTER TABLE inventory_all.apply_disk ALTER name TYPE bigint USING name::bigint",
    )
    .execute(&mut database)
    .await
    .unwrap();
    std::fs::write(folder.join("Broken.avsc"), "{").unwrap();
    let (code, output) = apply(&world, &folder, &[("TRIBUTARY_TOPICS__PARTITIONS", "4")]).await;
    assert_eq!(code, 64, "{output}");
    assert!(line(&output, "Broken.avsc").contains("not a valid Avro schema"), "{output}");
    assert!(line(&output, "inventory.live").contains("has 3 partitions, not 4"), "{output}");
    let refusal = line(&output, "table      apply_disk");
    let statement = &refusal[refusal.find("BEGIN;").unwrap()..];

    // The person runs the statement, and all is well again, the views included.
    std::fs::remove_file(folder.join("Broken.avsc")).unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut database).await.unwrap();
    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 0, "{output}");
    assert!(line(&output, "apply_disk_detail").contains("changed"), "{output}");

    // A type that changed so that the table can't follow is the registry's to refuse.
    write(&folder, "ApplyDisk", r#"{"name":"name","type":["null","long"],"default":null}"#);
    let (code, output) = apply(&world, &folder, &[]).await;
    assert_eq!(code, 64, "{output}");
    assert!(line(&output, "test.apply.ApplyDisk").contains("refuses (409)"), "{output}");
}

#[tokio::test]
async fn what_is_down_is_told_for_each_part() {
    let world = World::start("down", &Template::EMPTY).await.unwrap();
    let nowhere = [
        ("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
    ];
    let folder = world.folder().join("avro");
    write(&folder, "ApplyDown", HOST_NAME);
    let (code, output) = apply(&world, &folder, &nowhere).await;
    assert_eq!(code, 1, "{output}");
    assert!(line(&output, "inventory.live").contains("changed"), "{output}");
    assert!(line(&output, "127.0.0.1:1").contains("SCHEMA_REGISTRY_URL"), "{output}");
    assert!(line(&output, "database ").contains("DATABASE_URL"), "{output}");
}
