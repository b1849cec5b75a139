//! Schemas that stand for no table cost only the records that are written with them.

use harness::World;
use pipeline::{Bench, Outcome, Source, persister};
use records::rejection::{Class, header};
use records::{Topic, Version};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{SchemaId, frame};

const LIVE: Topic = Topic::InventoryLive;

const POSITIONS: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

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
fn avsc(namespace: &str, record: &str) -> String {
    format!(
        r#"{{"type":"record","name":"{record}","namespace":"{namespace}","fields":[
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
        let id = bench.source.register(&format!("test.{record}"), &avsc("test", record)).await?;
        poisons.push((id, unknown, "is the name of a view or an index of Tributary"));
    }
    for (id, ..) in &poisons {
        bench.source.whole(LIVE, (&format!("before-{}", id.0), Version::now()), &[]).await?;
        bench.source.publish(LIVE, (Some(KEY), Some(frame(*id, b"anything")))).await?;
    }
    bench.source.whole(LIVE, ("last", Version::now()), &[]).await?;
    bench.answers(POSITIONS, Some(i64::try_from(poisons.len())? * 2 + 1)).await?;
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

/// Sends objects of a type on both lanes.
async fn send(source: &Source, ids: std::ops::Range<usize>) -> Outcome<()> {
    for id in ids {
        let topic = if id % 2 == 0 { LIVE } else { Topic::InventorySnapshot };
        source.whole(topic, (&id.to_string(), Version::now()), &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_record_type_of_a_table_is_refused_and_the_first_goes_on() -> Outcome<()> {
    let mut bench = Bench::start("claims").await?;
    let first = Source::start(&bench.world, &avsc("ours", "Claimed")).await?;
    let second = Source::start(&bench.world, &avsc("theirs", "claimed")).await?;
    send(&first, 0..2).await?;
    bench.answers("SELECT count(*) FROM inventory.claimed", Some(2)).await?;
    send(&second, 2..10).await?;
    send(&first, 10..20).await?;
    bench.answers("SELECT count(*) FROM inventory.claimed", Some(12)).await?;
    bench.answers(POSITIONS, Some(20)).await?;
    let letters = bench.source.letters().await?;
    assert_eq!(letters.len(), 8);
    let message = letters[0].header(header::MESSAGE).unwrap_or_default();
    let said = "record theirs.claimed wants the table claimed, which is that of ours.Claimed";
    assert!(message.contains(said), "{message}");
    assert_eq!(letters[0].header(header::CLASS), Some(Class::UnknownRecordType.name()));
    Ok(())
}

#[tokio::test]
async fn members_that_meet_two_record_types_of_a_table_agree_which_was_first() -> Outcome<()> {
    let mut bench = Bench::start("race").await?;
    bench.persister.kill();
    let one = Source::start(&bench.world, &avsc("one", "Raced")).await?;
    let other = Source::start(&bench.world, &avsc("other", "Raced")).await?;
    send(&one, 0..50).await?;
    send(&other, 50..100).await?;
    let _second = persister(&bench.world, "slot-1", &[])?;
    bench.persister.restart()?;
    bench.answers(POSITIONS, Some(100)).await?;
    bench.answers("SELECT count(*) FROM inventory.raced", Some(50)).await?;
    bench.answers("SELECT count(DISTINCT subject) FROM tributary.schema", Some(1)).await?;
    assert_eq!(bench.source.letters().await?.len(), 50);
    Ok(())
}
