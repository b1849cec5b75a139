//! Schemas that stand for no table cost only the records that are written with them.

use harness::World;
use pipeline::{Bench, Outcome};
use records::rejection::{Class, header};
use records::{Topic, Version};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{SchemaId, frame};

const LIVE: Topic = Topic::InventoryLive;

/// The key of everything here: one partition, so that poison has good records on both sides.
const KEY: &str = "k";

/// Registers what no producer of ours could: a schema of another kind.
async fn register(world: &World, kind: &str, schema: &str) -> Outcome<SchemaId> {
    let url = world.parts().registry.url();
    let (host, path) = url.trim_start_matches("http://").split_once('/').ok_or("no path")?;
    let body = json!({ "schemaType": kind, "schema": schema }).to_string();
    let request = format!(
        "POST /{path}/subjects/test.of.{kind}/versions HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let json = answer.find('{').and_then(|at| Some(&answer[at..=answer.rfind('}')?]));
    let answer: Json = serde_json::from_str(json.ok_or(answer.clone())?)?;
    let id = answer["id"].as_i64().ok_or_else(|| answer.to_string())?;
    Ok(SchemaId(id.try_into()?))
}

/// An entity type without attributes.
fn avsc(record: &str) -> String {
    format!(
        r#"{{"type":"record","name":"{record}","namespace":"test","fields":[
        {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},{{"name":"update_mask","type":
        ["null",{{"type":"array","items":"string"}}],"default":null}}]}}"#
    )
}

#[tokio::test]
async fn schemas_without_a_table_are_told_with_what_is_wrong() -> Outcome<()> {
    let mut bench = Bench::start("poison-schemas").await?;
    let json = r#"{"type":"object","properties":{"native_id":{"type":"string"}}}"#;
    let protobuf = "syntax = \"proto3\"; message Widget { string native_id = 1; }";
    let (invalid, unknown) = (Class::InvalidSchema, Class::UnknownRecordType);
    let mut poisons = vec![
        (register(&bench.world, "JSON", json).await?, invalid, "no Avro schema"),
        (register(&bench.world, "PROTOBUF", protobuf).await?, invalid, "no Avro schema"),
    ];
    for record in ["DanglingReferences", "WidgetDetail"] {
        let id = bench.source.register(&format!("test.{record}"), &avsc(record)).await?;
        poisons.push((id, unknown, "is the name of a view or an index of Tributary"));
    }
    for (id, ..) in &poisons {
        bench.source.whole(LIVE, (&format!("before-{}", id.0), Version::now()), &[]).await?;
        bench.source.publish(LIVE, (Some(KEY), Some(frame(*id, b"anything")))).await?;
    }
    bench.source.whole(LIVE, ("last", Version::now()), &[]).await?;
    let positions = "SELECT sum(next_offset)::bigint FROM tributary.position";
    bench.answers(positions, Some(i64::try_from(poisons.len())? * 2 + 1)).await?;
    let rows = "SELECT count(*) FROM inventory.widget";
    bench.answers(rows, Some(i64::try_from(poisons.len())? + 1)).await?;
    let letters = bench.source.letters().await?;
    assert_eq!(letters.len(), poisons.len());
    for ((id, class, said), letter) in poisons.iter().zip(&letters) {
        let message = letter.header(header::MESSAGE).unwrap_or_default();
        assert_eq!(letter.header(header::CLASS), Some(class.name()), "{message}");
        assert!(message.contains(said) && message.ends_with(class.remedy()), "{message}");
        assert_eq!(letter.payload, Some(frame(*id, b"anything")));
        bench
            .admin_shows("/metrics", &format!("dead_letters_total{{class=\"{class}\"}} 2"))
            .await?;
    }
    bench.answers("SELECT count(*) FROM tributary.waiting", Some(0)).await?;
    // The view that a type of its name would have taken is still ours to make.
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'inventory_all'";
    bench.answers(tables, Some(1)).await
}
