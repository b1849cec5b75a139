//! What people see of a group and of a type.

use pipeline::{Bench, Outcome, WIDGET};
use records::topics::partition_of;
use records::{Topic, Value, Version};
use serde_json::Value as Json;

async fn answer(bench: &Bench, arguments: &[&str]) -> Outcome<Json> {
    let (code, text) = bench.command(&[arguments, &["--output", "json"]].concat()).await?;
    assert_eq!(code, Some(0), "{text}");
    Ok(serde_json::from_str(&text)?)
}

/// What the status says of the live topic.
fn of_live(status: &Json) -> Outcome<&Json> {
    let topics = status["topics"].as_array().ok_or("no list of topics")?;
    let live = Topic::InventoryLive.suffix();
    let topic = topics.iter().find(|topic| topic["topic"].to_string().contains(live));
    Ok(topic.ok_or("no live topic")?)
}

/// How many records a second the status shows while records flow, all of which are applied then.
async fn speed_of_a_flow(bench: &mut Bench) -> Outcome<f64> {
    let before = bench.source.count(Topic::InventoryLive).await?;
    let flow = async {
        loop {
            let widget = ("flows", Version::now());
            bench.source.whole(Topic::InventoryLive, widget, &[]).await?;
        }
    };
    let status = tokio::select! {
        status = answer(bench, &["status"]) => status?,
        never = flow => return never,
    };
    bench.source.acknowledged().await?;
    let all = bench.source.count(Topic::InventoryLive).await?;
    let applied = "SELECT sum(next_offset)::bigint FROM tributary.position \
         WHERE topic LIKE '%.inventory.live'";
    bench.answers(applied, Some(all)).await?;
    let speed = of_live(&status)?["records_per_second"].as_f64().ok_or("no speed")?;
    // It looks for a second or more.
    let flowed = f64::from(u32::try_from(all - before)?);
    assert!(speed > 0.0 && speed <= flowed, "{speed} of {flowed}: {status}");
    Ok(speed)
}

#[tokio::test]
async fn the_status_tells_lag_owners_and_what_needs_a_person() -> Outcome<()> {
    let mut bench = Bench::start("status").await?;
    let live = Topic::InventoryLive;
    bench.source.whole(live, ("a", Version::now()), &[("size", Value::Long(1))]).await?;
    bench.source.publish(live, (None, Some(b"no frame".to_vec()))).await?;
    bench.shows(&[("a", None, Some(1))]).await?;
    bench.answers("SELECT sum(next_offset)::bigint FROM tributary.position", Some(2)).await?;
    bench.answers("SELECT count(*) FROM tributary.source", Some(1)).await?;
    let speed = speed_of_a_flow(&mut bench).await?;
    println!("status shows {speed} records a second");
    let trouble = "INSERT INTO tributary.waiting (type, reason, hint) VALUES ('host', 'r', 'mend');
        INSERT INTO tributary.gap (topic, partition, from_offset, reason) VALUES ('t', 1, 2, 'r')";
    bench.sql(trouble).await?;
    bench.persister.kill();
    bench.source.whole(live, ("b", Version::now()), &[]).await?;

    let status = answer(&bench, &["status"]).await?;
    let topic = of_live(&status)?;
    assert_eq!((&topic["lag"], &topic["worst"]["lag"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(topic["owners"].as_object().map(serde_json::Map::len), Some(1), "{status}");
    assert_eq!(topic["records_per_second"], 0.0, "{status}");
    assert_eq!(status["dead_letters_24h"]["not_framed"], 1, "{status}");
    assert_eq!(status["sources"][0]["source"], "test", "{status}");
    assert_eq!(status["waiting"][0]["hint"], "mend", "{status}");
    assert_eq!(status["gaps_7d"][0]["from_offset"], 2, "{status}");
    let (code, text) = bench.command(&["status"]).await?;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("inventory.live: 1 records to apply, 1 of them in partition"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_batch_is_explained_from_its_topic() -> Outcome<()> {
    let bench = Bench::start("captured").await?;
    let live = Topic::InventoryLive;
    let (key, now) = ("test/widget/a".to_owned(), Version::now());
    bench.source.whole(live, ("a", now), &[("size", Value::Long(1))]).await?;
    bench.source.update(("a", now.next()), &[("size", Value::Long(2))]).await?;
    bench.source.send(live, key.clone(), b"no frame".to_vec()).await?;
    bench.source.delete("a", now.next().next()).await?;
    let partition = partition_of(key.as_bytes(), 4);
    let first = format!("inventory.live/{partition}/0");
    let batch = answer(&bench, &["explain", "--records", &first]).await?;
    assert_eq!((&batch["records"], &batch["refused"][0]["offset"]), (&4.into(), &2.into()));
    let schemas = batch["schemas"].as_array().ok_or("no list of schemas")?;
    let named = |name: &str| schemas.iter().find(|schema| schema["name"] == name);
    let widgets = named("test.Widget").ok_or("no widgets")?;
    assert_eq!(widgets["records"], 2, "{batch}");
    assert_eq!(widgets["entities"]["objects"]["several"], 1, "{batch}");
    let patch = &widgets["entities"]["explained"]["statements"]["patch"];
    assert!(patch.to_string().contains("widget"), "{batch}");
    assert_eq!(named("tributary.inventory.Delete").ok_or("no deletes")?["records"], 1, "{batch}");
    let second = format!("inventory.live/{partition}/1");
    let (code, text) = bench.command(&["explain", "--records", &second, "--count", "1"]).await?;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 objects have partial records: patch"), "{text}");
    let (code, text) = bench.command(&["explain", "--records", "inventory.live/0/99"]).await?;
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("so 99 is none of them"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_plan_is_explained_from_a_type_an_id_and_a_file() -> Outcome<()> {
    let mut bench = Bench::start("explain").await?;
    let (code, text) = bench.command(&["explain", "--type", "widget"]).await?;
    assert_eq!(code, Some(64), "{text}");
    bench.source.whole(Topic::InventoryLive, ("a", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None)]).await?;
    let by_type = answer(&bench, &["explain", "--type", "widget"]).await?;
    let id = by_type["schema_id"].to_string();
    assert_eq!(by_type, answer(&bench, &["explain", "--schema-id", &id]).await?);
    assert_eq!(by_type["changes"].as_array().map(Vec::len), Some(0), "{by_type}");
    let file = bench.world.folder().join("Widget.avsc");
    std::fs::write(&file, WIDGET)?;
    let file = file.to_str().ok_or("a path of text")?;
    let mut by_file = answer(&bench, &["explain", "--file", file]).await?;
    assert!(by_file["changes"][0].to_string().contains("CREATE TABLE"), "{by_file}");
    by_file["changes"] = by_type["changes"].clone();
    by_file["schema_id"] = by_type["schema_id"].clone();
    assert_eq!(by_file, by_type);
    assert_eq!(by_type["fields"][7]["how"], "any other value, as JSON", "{by_type}");
    Ok(())
}
