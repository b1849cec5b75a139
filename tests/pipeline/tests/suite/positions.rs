//! Positions are PostgreSQL's: people see them, move them, and a running persister follows.

use harness::wait_until;
use pipeline::{Bench, LONG, Outcome};
use records::{Topic, Version};
use std::path::Path;

/// Rows `a` and `b`, and nothing left to apply.
async fn idle(name: &str) -> Outcome<Bench> {
    let mut bench = Bench::start(name).await?;
    for id in ["a", "b"] {
        bench.source.whole(Topic::InventoryLive, (id, Version::now()), &[]).await?;
    }
    bench.shows(&[("a", None, None), ("b", None, None)]).await?;
    Ok(bench)
}

/// How many records the group has committed, and what was shown.
async fn committed(bench: &Bench) -> Outcome<(i64, String)> {
    let (_, text) = bench.command(&["positions", "show", "--output", "json"]).await?;
    let committed = text.lines().filter(|line| line.contains("committed_offset"));
    let numbers = committed
        .filter_map(|line| line.split(": ").nth(1)?.trim_end_matches(',').parse::<i64>().ok());
    Ok((numbers.sum(), text))
}

/// Waits until the group has committed so many records.
async fn show_committed(bench: &Bench, wanted: i64) -> Outcome<()> {
    let waited = wait_until("committed records", LONG, async || match committed(bench).await {
        Ok((records, _)) if records == wanted => Ok(()),
        Ok((_, text)) => Err(text),
        Err(error) => Err(error.to_string()),
    });
    Ok(waited.await?)
}

/// Commits are sent once a second, and nothing flows any more.
#[tokio::test]
async fn a_persister_that_ends_has_committed_all_that_it_applied() -> Outcome<()> {
    let bench = idle("goodbye").await?;
    bench.persister.terminate();
    bench.persister.wait(LONG).await?;
    let (records, text) = committed(&bench).await?;
    assert_eq!(records, 2, "{text}");
    Ok(())
}

#[tokio::test]
async fn an_idle_persister_follows_a_rewind() -> Outcome<()> {
    let mut bench = idle("rewind").await?;
    show_committed(&bench, 2).await?;
    let (code, text) = bench.command(&["positions", "show"]).await?;
    assert_eq!((code, text.lines().count()), (Some(0), 17), "{text}");
    // Only reading the records again can bring them back.
    bench.sql("DELETE FROM inventory_all.widget").await?;
    let rewind = ["positions", "rewind", "--topic", "inventory.live", "--to-beginning"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("-> 0 (the beginning)").count(), 4, "{text}");
    bench.shows(&[("a", None, None), ("b", None, None)]).await?;
    bench.answers("SELECT sum(next_offset)::bigint FROM tributary.position", Some(2)).await?;
    bench.answers("SELECT count(*) FROM tributary.gap", Some(0)).await
}

#[tokio::test]
async fn a_rewind_under_load_fences_the_transaction() -> Outcome<()> {
    let mut bench = idle("fenced").await?;
    bench.sql("DELETE FROM inventory_all.widget").await?;
    let rewind = ["positions", "rewind", "--topic", "inventory.live", "--to-time", "2020-01-01Z"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    for id in ["c", "d"] {
        bench.source.whole(Topic::InventoryLive, (id, Version::now()), &[]).await?;
    }
    bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None), ("d", None, None)]).await
}

#[tokio::test]
async fn what_is_no_place_is_refused_and_what_is_skipped_is_a_gap() -> Outcome<()> {
    let mut bench = idle("places").await?;
    let (code, text) = bench
        .command(&["positions", "rewind", "--topic", "inventory.live", "--to-offset", "77"])
        .await?;
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("so 77 is no place in it"), "{text}");
    let topic = ["positions", "rewind", "--topic", "control", "--to-beginning"];
    let (code, text) = bench.command(&topic).await?;
    assert_eq!(code, Some(64), "{text}");
    let time = ["positions", "rewind", "--topic", "inventory.live", "--to-time", "noon-ish"];
    let (code, text) = bench.command(&time).await?;
    assert_eq!(code, Some(64), "{text}");

    show_committed(&bench, 2).await?;
    bench.persister.terminate();
    bench.persister.wait(LONG).await?;
    let skipped = [("size", 7_i64.into())];
    bench.source.whole(Topic::InventoryLive, ("a", Version::now()), &skipped).await?;
    let tomorrow = ["positions", "rewind", "--topic", "inventory.live", "--to-time", "2090-01-01Z"];
    let (code, text) = bench.command(&tomorrow).await?;
    assert_eq!(code, Some(0), "{text}");
    bench
        .answers("SELECT sum(to_offset - from_offset)::bigint FROM tributary.gap", Some(1))
        .await?;
    bench.persister.restart()?;
    bench.source.whole(Topic::InventoryLive, ("c", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None), ("b", None, None), ("c", None, None)]).await?;
    let warning = "use `persister positions rewind`";
    assert!(!bench.persister.output()?.contains(warning), "nobody has moved the group's offsets");

    bench.persister.terminate();
    bench.persister.wait(LONG).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/commit.py");
    let group = bench.world.topic_prefix();
    let topic = format!("{group}inventory.live");
    let commit = bench.world.python(&script, |command| command.args([&topic, &group, "77"]))?;
    assert!(commit.wait(LONG).await?.success(), "{}", commit.output()?);
    bench.persister.restart()?;
    wait_until("a warning", LONG, async || {
        let log = bench.persister.output().map_err(|error| error.to_string())?;
        if log.contains(warning) { Ok(()) } else { Err(log) }
    })
    .await?;
    // Nothing flows, and yet the group's lag is right again.
    show_committed(&bench, 4).await
}
