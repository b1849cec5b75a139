//! Rows are compared with the newest complete listing, and only with what it can know.

use pipeline::{Bench, Outcome, Source};
use records::{Topic, Value, Version};
use serde_json::Value as Json;
use std::collections::BTreeMap;

const GAUGE: &str = r#"{"type":"record","name":"Gauge","namespace":"test","fields":[
    {"name":"source","type":"string"},{"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"on","type":["null","boolean"],"default":null},
    {"name":"size","type":["null","int"],"default":null},
    {"name":"ratio","type":["null","double"],"default":null},
    {"name":"share","type":["null","float"],"default":null},
    {"name":"kind","type":["null",{"type":"enum","name":"Kind","symbols":["big"]}],"default":null},
    {"name":"data","type":["null","bytes"],"default":null},
    {"name":"uid","type":["null",{"type":"string","logicalType":"uuid"}],"default":null},
    {"name":"born","type":["null",{"type":"int","logicalType":"date"}],"default":null},
    {"name":"seen","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null},
    {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null},
    {"name":"tags","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"sizes","type":["null",{"type":"array","items":"double"}],"default":null},
    {"name":"labels","type":["null",{"type":"map","values":"string"}],"default":null}]}"#;

/// A value of each kind.
fn full() -> Vec<(&'static str, Value)> {
    let labels = BTreeMap::from([("ä".to_owned(), Value::from("\"\\"))]);
    vec![
        ("on", true.into()),
        ("size", (-7_i64).into()),
        ("ratio", Value::Double(f64::NEG_INFINITY)),
        ("share", Value::Double(0.1)),
        ("kind", "big".into()),
        ("data", Value::Bytes(vec![0, 255])),
        ("uid", "0b7d9a52-1d0d-4a39-8f3b-6e6f8f0d1c2e".into()),
        ("born", Value::Long(-1)),
        ("seen", Value::Timestamp(1_700_000_000_123_000)),
        ("at", Value::Timestamp(-1)),
        ("tags", vec!["a", "\"b\", {c}"].into()),
        ("sizes", Value::Array(vec![Value::Double(1e300), Value::Double(f64::NAN)])),
        ("labels", Value::Map(labels)),
    ]
}

async fn verify(bench: &Bench, code: i32) -> Outcome<String> {
    let (found, text) = bench.command(&["verify", "--source", "test", "--type", "gauge"]).await?;
    assert_eq!(found, Some(code), "{text}");
    Ok(text)
}

#[tokio::test]
async fn drift_is_found_and_what_is_newer_is_not_drift() -> Outcome<()> {
    let mut bench = Bench::start("verify").await?;
    let gauges = Source::start(&bench.world, GAUGE).await?;
    assert!(verify(&bench, 1).await?.contains("no complete listing"));
    let listing = Version::now();
    let snapshot = Topic::InventorySnapshot;
    for id in ["a", "b", "c", "d", "e"] {
        gauges.whole(snapshot, (id, listing), &full()).await?;
    }
    gauges.whole(snapshot, ("empty", listing), &[]).await?;
    gauges.extent(&["a", "b", "c", "d", "e", "empty"], listing).await?;
    // A type without objects need not have a table.
    bench.source.extent(&[], listing).await?;
    bench.answers("SELECT count(*) FROM tributary.extent", Some(2)).await?;
    bench.answers("SELECT count(*) FROM inventory.gauge", Some(6)).await?;
    let text = verify(&bench, 0).await?;
    assert!(text.contains("6 objects, 6 compared\n0 rows differ"), "{text}");
    let (code, text) = bench.command(&["verify", "--source", "test"]).await?;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("widget: listed at"), "{text}");

    // What happens after the listing is no drift.
    let later = Version::now();
    gauges.update(("d", later), &[("size", 8_i64.into())]).await?;
    gauges.delete("e", later).await?;
    gauges.whole(Topic::InventoryLive, ("new", later), &full()).await?;
    bench.answers("SELECT sum(size)::bigint FROM inventory.gauge", Some(8 - 7 * 4)).await?;
    bench.answers("SELECT count(*) FROM inventory_all.gauge WHERE NOT alive", Some(1)).await?;
    assert!(verify(&bench, 0).await?.contains("0 rows differ"));

    bench
        .sql(
            "UPDATE inventory_all.gauge SET size = 9, at = at + interval '1 microsecond',
                labels = labels || '{\"x\": \"y\"}' WHERE native_id IN ('a', 'd');
            DELETE FROM inventory_all.gauge WHERE native_id = 'b';
            UPDATE inventory_all.gauge SET native_id = 'stray' WHERE native_id = 'c';
            UPDATE inventory_all.gauge SET existence_version = existence_version - 1
                WHERE native_id = 'stray'",
        )
        .await?;
    let (code, text) = bench.command(&["verify", "--source", "test", "--output", "json"]).await?;
    assert_eq!(code, Some(1), "{text}");
    let json = text.split("\nerror:").next().unwrap_or_default();
    let found: Json = serde_json::from_str(json)?;
    assert_eq!(found["drifted"], 5, "{text}");
    let mut drift: Vec<String> =
        found["drift"].as_array().into_iter().flatten().map(line).collect();
    drift.sort();
    let wanted = [
        "differs a size,at,labels",
        "differs d at,labels",
        "extra stray ",
        "missing b ",
        "missing c ",
    ];
    assert_eq!(drift, wanted);
    Ok(())
}

fn line(drift: &Json) -> String {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let attributes = drift["attributes"].as_array().into_iter().flatten().map(text);
    let attributes = attributes.collect::<Vec<_>>().join(",");
    format!("{} {} {attributes}", text(&drift["drift"]), text(&drift["native_id"]))
}
