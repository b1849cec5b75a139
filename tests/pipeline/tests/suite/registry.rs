//! A registry that denies, has lost schemas or lags behind costs no record.

use harness::{World, wait_until};
use pipeline::{Bench, Gate, LONG, MIGRATED, NO_SCHEMA, Outcome, Source, WIDGET, persister};
use records::rejection::{Class, header};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};
use wire::{SchemaId, frame};

const LIVE: Topic = Topic::InventoryLive;

const POSITIONS: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

/// A persister that reaches the registry through a gate, which answers at first as it is told.
async fn gated(name: &str, answer: Option<(u16, &'static str)>) -> Outcome<(Bench, Gate)> {
    let world = World::start(name, &MIGRATED).await?;
    let source = Source::start(&world, WIDGET).await?;
    let gate = Gate::start(&world).await?;
    if let Some(answer) = answer {
        gate.answer(answer);
    }
    let persister = persister(&world, "slot-0", &[("SCHEMA_REGISTRY_URL", &gate.url())])?;
    let database = PgConnection::connect(world.database_url()).await?;
    Ok((Bench { world, source, database, persister }, gate))
}

async fn logged(bench: &Bench, words: &str) -> Outcome<()> {
    wait_until(&format!("{words:?} in the log"), LONG, async || {
        let log = bench.persister.output().map_err(|error| error.to_string())?;
        if log.contains(words) { Ok(()) } else { Err(log) }
    })
    .await?;
    Ok(())
}

async fn send(bench: &Bench, id: &str) -> Outcome<()> {
    bench.source.whole(LIVE, (id, Version::now()), &[]).await
}

#[tokio::test]
async fn a_registry_that_denies_or_is_none_is_waited_for() -> Outcome<()> {
    let (mut bench, gate) = gated("denied", Some((401, ""))).await?;
    send(&bench, "a").await?;
    logged(&bench, "refuses the credentials (401); see registry.username").await?;
    gate.answer((404, "<h1>There is nothing here</h1>"));
    logged(&bench, "correct the path in SCHEMA_REGISTRY_URL").await?;
    bench.answers(POSITIONS, Some(0)).await?;
    gate.open();
    bench.shows(&[("a", None, None)]).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_unknown_id_is_asked_for_again_but_not_for_each_record() -> Outcome<()> {
    let (mut bench, gate) = gated("unknown", Some(NO_SCHEMA)).await?;
    for _ in 0..1000 {
        send(&bench, "early").await?;
    }
    bench.answers(POSITIONS, Some(1000)).await?;
    assert!(gate.asked() < 100, "{} requests", gate.asked());
    assert_eq!(bench.source.letters().await?.len(), 1000);
    gate.open();
    wait_until("a row", LONG, async || {
        send(&bench, "late").await.map_err(|error| error.to_string())?;
        let exists = "SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = 'widget')";
        let exists = sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut bench.database).await;
        if exists.map_err(|e| e.to_string())? { Ok(()) } else { Err("still unknown".to_owned()) }
    })
    .await?;
    bench.shows(&[("late", None, None)]).await
}

#[tokio::test]
async fn what_the_registry_has_lost_is_read_as_before() -> Outcome<()> {
    let (mut bench, gate) = gated("lost", None).await?;
    send(&bench, "a").await?;
    bench.shows(&[("a", None, None)]).await?;
    bench.persister.kill();
    gate.answer(NO_SCHEMA);
    bench.persister.restart()?;
    send(&bench, "b").await?;
    bench.source.publish(LIVE, (None, Some(frame(SchemaId(999_999), b"anything")))).await?;
    bench.answers(POSITIONS, Some(3)).await?;
    bench.shows(&[("a", None, None), ("b", None, None)]).await?;
    logged(&bench, "the registry has lost a schema").await?;
    let letters = bench.source.letters().await?;
    let classes: Vec<_> = letters.iter().map(|letter| letter.header(header::CLASS)).collect();
    assert_eq!(classes, [Some(Class::UnknownSchema.name())]);
    Ok(())
}
