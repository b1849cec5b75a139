//! Samples of counters: `persister run` against binary `COPY` into the same partition.

use crate::error::Error;
use crate::floor;
use crate::ours::{self, Backlog};
use crate::rig::{Rig, Rows};
use crate::trial::{Trial, compare};
use records::contract::ContractRecord;
use records::history::Samples;
use records::topics::object_key;
use records::{NativeId, SourceName, Topic, TypeName, Version};
use std::path::Path;
use wire::{Outgoing, Publisher, frame};
use workloads::copy;
use workloads::samples::{COUNTERS, EACH, Hour, SOURCE, TYPE, series_of};

/// How people read it.
const TITLE: &str = "metrics";

/// Samples for each record of the other workloads.
const SAMPLES: u64 = 5;

/// Count and checksum of all samples, whatever the numbers of their series are.
const DIGEST: &str = "SELECT count(*) || ' samples ' || coalesce(bit_xor(hashtextextended( \
     ROW(source, type, native_id, name, at, value)::text, 0)), 0) \
     FROM metrics.sample JOIN metrics.series ON series.id = sample.series";

/// Lets the floor and ours write the same samples, in turns.
///
/// # Errors
/// What stopped one of them, or that their rows differ.
pub async fn measure(rig: &Rig, rounds: u32, say: fn(&str)) -> Result<Vec<Trial>, Error> {
    let hour = Hour::of(rig.records * SAMPLES, Version::now());
    let prefix = "metrics.".to_owned();
    let backlog =
        Backlog { prefix, topic: Topic::Metrics, applied: 0, records: hour.records(), each: EACH };
    send(rig, &backlog.prefix, hour).await?;
    let file = rig.world.folder().join("metrics.copy");
    copy::write_samples(&file, hour.rows()).map_err(Error::at(&file))?;
    let mut trials = Vec::new();
    for round in 1..=rounds {
        for is_ours in [false, true] {
            let mut rows = rig.new_database(true).await?;
            rows.judge_by(DIGEST);
            let trial = if is_ours {
                ours::apply(rig, &backlog, &mut rows).await?
            } else {
                floor(rig, (&file, hour), &mut rows).await?
            };
            rig.drop(rows.close().await?).await?;
            say(&trial.line(round, TITLE));
            trials.push(trial);
        }
    }
    compare(TITLE, &trials)?;
    std::fs::remove_file(&file).map_err(Error::at(&file))?;
    Ok(trials)
}

/// Series and partition are there before; only the samples are timed.
async fn floor(rig: &Rig, (file, hour): (&Path, Hour), rows: &mut Rows) -> Result<Trial, Error> {
    rows.run(&series(hour)).await?;
    let day = format!("to_timestamp({})", hour.begin.micros() / 1_000_000);
    rows.run(&format!("SELECT tributary.make_partitions('metrics.sample', ARRAY[{day}])")).await?;
    let partition = rows
        .text(
            "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid \
             WHERE inhparent = 'metrics.sample'::regclass AND relkind = 'r'",
        )
        .await?;
    let script = format!(
        "\\copy {partition} (series, at, value) FROM '{}' (FORMAT binary)\n",
        file.display()
    );
    floor::time(rig, &script, hour.records() * EACH, rows).await
}

/// Gives each counter of each object its number.
fn series(hour: Hour) -> String {
    let list = |of: fn(&(&'static str, &'static str)) -> &'static str| {
        COUNTERS.iter().map(|counter| format!("'{}'", of(counter))).collect::<Vec<_>>().join(", ")
    };
    let (last, each, first) = (hour.objects - 1, COUNTERS.len(), series_of(0));
    format!(
        "INSERT INTO metrics.series (id, source, type, native_id, name, unit) \
         OVERRIDING SYSTEM VALUE \
         SELECT object * {each} + counter - 1 + {first}, '{SOURCE}', '{TYPE}', \
         'host-' || object, name, unit FROM generate_series(0, {last}) AS o(object), \
         unnest(ARRAY[{}], ARRAY[{}]) WITH ORDINALITY AS c(name, unit, counter)",
        list(|counter| counter.0),
        list(|counter| counter.1)
    )
}

/// Makes topics and sends all polls.
async fn send(rig: &Rig, prefix: &str, hour: Hour) -> Result<(), Error> {
    rig.make_topics(prefix).await?;
    let schema = rig.registry()?.register(Samples::SUBJECT, Samples::json()).await?;
    let publisher = Publisher::new(&rig.kafka(""))?;
    let source = SourceName::new(SOURCE).expect("these letters may be a source");
    let entity_type = TypeName::new(TYPE).expect("these letters may be a type");
    for poll in hour.polls() {
        let native_id =
            NativeId::new(&poll.native_id).expect("a number behind letters may be an id");
        let key = Some(object_key(&source, &entity_type, &native_id).into_bytes());
        let payload = Some(frame(schema, &poll.encode()));
        let topic = Topic::Metrics.name(prefix);
        publisher.send(Outgoing { topic, key, payload, headers: Vec::new() }).await?;
    }
    Ok(publisher.acknowledged().await?)
}
