//! A new entity type is one new `.avsc`, and a collector may be a program in any language.

use harness::{Template, World, wait_until};
use pipeline::{LONG, Outcome, apply};
use sqlx::{Connection, PgConnection};
use std::path::Path;

const RACK: &str = r#"{"type":"record","name":"Rack","namespace":"outside.inventory",
    "doc":"A rack in a data centre.","fields":[
    {"name":"source","type":"string"},
    {"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"name","type":["null","string"],"default":null},
    {"name":"units","type":["null","int"],"default":null},
    {"name":"labels","type":["null",{"type":"map","values":"string"}],"default":null}]}"#;

#[tokio::test]
async fn a_new_type_from_another_language_becomes_a_table_with_rows() -> Outcome<()> {
    let world = World::start("outside", &Template::EMPTY).await?;
    apply(&world).await?;
    let group = world.topic_prefix();
    let persister =
        world.program("persister", |command| command.args(["run", "--group", &group]))?;
    let schema = world.folder().join("rack.avsc");
    std::fs::write(&schema, RACK)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/outside.py");
    let outside = world.python(&script, |command| command.arg(&schema))?;
    let status = outside.wait(LONG).await?;
    assert!(status.success(), "{}", outside.output()?);

    let mut database = PgConnection::connect(world.database_url()).await?;
    let wanted = "r1 rack r1 42 A, r2 rack r2 47 A";
    wait_until(wanted, LONG, async || {
        let rows: Option<String> = sqlx::query_scalar(
            "SELECT string_agg(concat_ws(' ', native_id, name, units, labels->>'row'), ', ' \
             ORDER BY native_id) FROM inventory.rack",
        )
        .fetch_one(&mut database)
        .await
        .map_err(|error| error.to_string())?;
        if rows.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await?;
    assert!(persister.status().is_none(), "{}", persister.output()?);
    Ok(())
}
