//! Events become rows once each, whatever is sent or read again.

use harness::{World, wait_until};
use pipeline::{Bench, LONG, MIGRATED, Outcome};
use records::history::{Event, Severity};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

const EVENTS: &str = "SELECT count(*) FROM events.event";
const TOTAL: &str = "SELECT sum(count)::bigint FROM events.event";
const APPLIED: &str = "SELECT sum(next_offset)::bigint FROM tributary.position \
     WHERE topic LIKE '%.events'";
const DAY: Duration = Duration::from_hours(24);

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:05}")).collect()
}

/// Events at the same moment.
fn at(moment: Version, ids: &[String]) -> Vec<(&str, Version)> {
    ids.iter().map(|id| (id.as_str(), moment)).collect()
}

#[tokio::test]
async fn rows_are_what_was_sent_and_repeats_change_nothing() -> Outcome<()> {
    let mut bench = Bench::start("events").await?;
    let (now, ids) = (Version::now(), ids(50));
    bench.source.events(&at(now, &ids)).await?;
    bench.source.events(&at(now, &ids[..20])).await?;
    bench.source.events(&at(now.minus(40 * DAY), &["old".to_owned()])).await?;
    bench.answers(APPLIED, Some(71)).await?;
    bench.answers(EVENTS, Some(51)).await?;
    let whole = format!(
        "{EVENTS} WHERE source = 'test' AND event_id = '00007' AND type = 'Moved' AND severity = \
         'warning' AND (subject_type, subject_id) = ('widget', 'a') AND message = 'event 00007' \
         AND details ->> 'by' = 'a person' AND related = \
         '[{{\"type\": \"widget\", \"native_id\": \"b\"}}]' \
         AND occurred_at = timestamptz 'epoch' + {} * interval '1 microsecond'",
        now.micros()
    );
    bench.answers(&whole, Some(1)).await?;
    bench.admin_shows("/metrics", r#"records_applied_total{lane="events"} 71"#).await?;

    // Everything once more: nothing is written, and what was removed comes back.
    let copy = "CREATE TABLE before AS SELECT xmin::text AS row_version, event_id";
    bench.sql(&format!("{copy} FROM events.event_all")).await?;
    bench.sql("DELETE FROM events.event_all WHERE event_id = '00003'").await?;
    let rewind = ["positions", "rewind", "--topic", "events", "--to-beginning"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    bench.answers(EVENTS, Some(51)).await?;
    bench.answers(APPLIED, Some(71)).await?;
    let same = "SELECT count(*) FROM events.event_all AS e JOIN before AS b \
         ON b.event_id = e.event_id AND b.row_version = e.xmin::text";
    bench.answers(same, Some(50)).await
}

#[tokio::test]
async fn what_can_not_be_kept_is_a_dead_letter() -> Outcome<()> {
    let mut bench = Bench::start("range").await?;
    let now = Version::now();
    bench.source.events(&[("late", now.minus(91 * DAY)), ("early", now.plus(2 * DAY))]).await?;
    bench.source.events(&[("kept", now), ("", now), ("soon", now.plus(DAY / 2))]).await?;
    // An event has no place in the inventory, nor a thing among events.
    let live = [("thing", now)];
    bench.source.whole(Topic::Events, live[0], &[]).await?;
    bench.answers(APPLIED, Some(6)).await?;
    bench.answers(EVENTS, Some(2)).await?;
    for (class, count) in [("out_of_range", 2), ("invalid_record", 1), ("wrong_topic", 1)] {
        let counted = format!(r#"dead_letters_total{{class="{class}"}} {count}"#);
        bench.admin_shows("/metrics", &counted).await?;
    }
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 4);
    Ok(())
}

#[tokio::test]
async fn a_refused_event_costs_only_itself() -> Outcome<()> {
    let mut bench = Bench::start("refused").await?;
    bench.sql("ALTER TABLE events.event_all ADD CHECK (event_id <> '00017')").await?;
    let (now, ids) = (Version::now(), ids(100));
    bench.source.events(&at(now, &ids)).await?;
    bench.answers(APPLIED, Some(100)).await?;
    bench.answers(EVENTS, Some(99)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_persister_killed_in_the_middle_loses_nothing_and_doubles_nothing() -> Outcome<()> {
    let mut bench = Bench::start("killed").await?;
    let (now, ids) = (Version::now(), ids(8000));
    for part in ids.chunks(1000) {
        bench.source.events(&at(now, part)).await?;
        bench.persister.kill();
        bench.persister.restart()?;
    }
    // Most of them are a storm.
    bench.answers(APPLIED, Some(8000)).await?;
    bench.answers(TOTAL, Some(8000)).await?;
    let kept = "SELECT count(*) FROM events.event_all";
    let counted = "SELECT count(*) FROM events.storm_member";
    bench.answers(&format!("SELECT ({kept}) + ({counted})"), Some(8000)).await
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_when_they_are_too_old() -> Outcome<()> {
    let mut bench = Bench::start("days").await?;
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_all'::regclass";
    bench.answers(days, Some(3)).await?;
    bench
        .source
        .events(&[("kept", Version::now()), ("old", Version::now().minus(50 * DAY))])
        .await?;
    bench.answers(EVENTS, Some(2)).await?;
    bench.answers(days, Some(4)).await?;
    bench.persister.kill();
    let shorter = [("TRIBUTARY_EVENTS__RETENTION", "30d")];
    let _other = pipeline::persister(&bench.world, "slot-1", &shorter)?;
    bench.answers(days, Some(3)).await?;
    bench.answers(EVENTS, Some(1)).await
}

#[tokio::test]
async fn a_day_that_two_need_at_once_is_made_once() -> Outcome<()> {
    let world = World::start("at-once", &MIGRATED).await?;
    let mut first = PgConnection::connect(world.database_url()).await?;
    let mut second = PgConnection::connect(world.database_url()).await?;
    let mut looks = PgConnection::connect(world.database_url()).await?;
    let make = "SELECT tributary.make_partitions('events.event_all', ARRAY[now()])";
    let mut begun = first.begin().await?;
    let made: i32 = sqlx::query_scalar(make).fetch_one(&mut *begun).await?;
    let waits = wait_until("the second waits", LONG, async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let found: Result<i64, _> = sqlx::query_scalar(waiting).fetch_one(&mut looks).await;
        match found.map_err(|error| error.to_string())? {
            0 => Err("it does not".to_owned()),
            _ => Ok(()),
        }
    });
    let end = async {
        waits.await?;
        begun.commit().await?;
        Outcome::Ok(())
    };
    let also = async { Ok(sqlx::query_scalar::<_, i32>(make).fetch_one(&mut second).await?) };
    let (also, ()) = tokio::try_join!(also, end)?;
    assert_eq!((made, also), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_reader_delays_the_end_of_a_day_and_no_writer() -> Outcome<()> {
    let mut bench = Bench::start("reader").await?;
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_all'::regclass";
    bench.source.events(&[("old", Version::now().minus(50 * DAY))]).await?;
    bench.answers(EVENTS, Some(1)).await?;
    bench.answers(days, Some(4)).await?;
    bench.persister.kill();
    let mut reader = PgConnection::connect(bench.world.database_url()).await?;
    let mut reads = reader.begin().await?;
    sqlx::query("SELECT FROM events.event_all").execute(&mut *reads).await?;
    let shorter =
        [("TRIBUTARY_EVENTS__RETENTION", "30d"), ("TRIBUTARY_METRICS__UPKEEP_EVERY", "100ms")];
    let _other = pipeline::persister(&bench.world, "slot-1", &shorter)?;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted \
         AND relation = 'events.event_all'::regclass AND mode = 'AccessExclusiveLock'";
    let write = "BEGIN; SET LOCAL lock_timeout = '1s';
        LOCK TABLE events.event_all IN ROW EXCLUSIVE MODE; COMMIT";
    for (number, id) in (2..).zip(ids(3)) {
        bench.answers(waits, Some(1)).await?;
        bench.sql(write).await?;
        bench.source.events(&at(Version::now(), &[id])).await?;
        bench.answers(EVENTS, Some(number)).await?;
    }
    bench.answers(days, Some(4)).await?;
    reads.rollback().await?;
    bench.answers(days, Some(3)).await
}

#[tokio::test]
async fn a_storm_is_counted_exactly_whatever_is_repeated() -> Outcome<()> {
    let mut bench =
        Bench::start_with("storm", &[("TRIBUTARY_EVENTS__STORM_PER_MINUTE", "10")]).await?;
    let (now, ids) = (Version::now(), ids(600));
    for (round, part) in (1..).zip(ids.chunks(200)) {
        bench.source.events(&at(now, part)).await?;
        bench.source.events(&at(now, &part[..50])).await?;
        bench.answers(APPLIED, Some(round * 250)).await?;
        bench.answers(TOTAL, Some(round * 200)).await?;
        bench.persister.kill();
        bench.persister.restart()?;
    }
    // Each start keeps ten more, and the rest is one row.
    bench.answers(EVENTS, Some(31)).await?;
    let row = "SELECT count FROM events.event WHERE event_id IS NULL AND subject_id = 'a' \
         AND type = 'Moved' AND occurred_at = last_at";
    bench.answers(row, Some(570)).await?;
    let rewind = ["positions", "rewind", "--topic", "events", "--to-beginning"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    bench.source.events(&[("after", now.minus(DAY))]).await?;
    bench.answers(APPLIED, Some(751)).await?;
    bench.answers(TOTAL, Some(601)).await?;
    bench.answers(row, Some(570)).await
}

#[tokio::test]
async fn a_storm_shows_the_message_of_its_last_event_whichever_comes_last() -> Outcome<()> {
    let mut bench =
        Bench::start_with("late-storm", &[("TRIBUTARY_EVENTS__STORM_PER_MINUTE", "1")]).await?;
    let now = Version::now().micros();
    let minute = Version::from_micros(now - now % 60_000_000).minus(DAY);
    let event = |second: u64, severity| Event {
        source: "test".to_owned(),
        event_id: second.to_string(),
        event_type: "Moved".to_owned(),
        occurred_at: minute.plus(Duration::from_secs(second)).micros(),
        severity,
        subject: None,
        related: Vec::new(),
        message: format!("second {second}"),
        details: [].into(),
    };
    let events = [(1, Severity::Info), (30, Severity::Error), (10, Severity::Info)];
    for (applied, (second, severity)) in (1..).zip(events) {
        bench.source.happened(Topic::Events, &[event(second, severity)]).await?;
        bench.answers(APPLIED, Some(applied)).await?;
    }
    let last = "SELECT count FROM events.event WHERE event_id IS NULL \
         AND message = 'second 30' AND severity = 'error' AND last_at - occurred_at = '20 seconds'";
    bench.answers(last, Some(2)).await
}
