//! Samples become rows once each, and what they come to by hour and day follows them.

use pipeline::{Bench, Outcome};
use records::{Topic, Value, Version};
use std::time::Duration;

const SAMPLES: &str = "SELECT count(*) FROM metrics.sample";
const APPLIED: &str = "SELECT sum(next_offset)::bigint FROM tributary.position \
     WHERE topic LIKE '%.metrics'";
const HOURS: &str = "SELECT count(*) FROM metrics.hourly";
const HOUR: Duration = Duration::from_hours(1);
const OFTEN: (&str, &str) = ("TRIBUTARY_METRICS__UPKEEP_EVERY", "200ms");

/// The beginning of the last whole day.
fn yesterday() -> Version {
    let now = Version::now().micros();
    Version::from_micros(now - now % 86_400_000_000).minus(24 * HOUR)
}

#[tokio::test]
async fn rows_are_what_was_sent_and_repeats_change_nothing() -> Outcome<()> {
    let mut bench = Bench::start_with("samples", &[OFTEN]).await?;
    let start = yesterday();
    let values = [Some(1.5), None, Some(4.5), Some(3.0)];
    bench.source.samples(start, &values).await?;
    bench.answers(SAMPLES, Some(3)).await?;
    let row = format!(
        "{SAMPLES} AS s JOIN metrics.series AS c ON c.id = s.series WHERE c.source = 'test' \
         AND c.type = 'widget' AND c.native_id = 'a' AND c.name = 'cpu' AND c.unit = 'percent' \
         AND s.value = 4.5 AND s.at = timestamptz 'epoch' + {} * interval '1 microsecond'",
        start.plus(Duration::from_secs(40)).micros()
    );
    bench.answers(&row, Some(1)).await?;

    // The same again, and one that is half of it, half new: the rest of it is added.
    bench.source.samples(start, &values).await?;
    let later = start.plus(Duration::from_secs(40));
    bench.source.samples(later, &[Some(4.5), Some(3.0), Some(11.0)]).await?;
    bench.answers(SAMPLES, Some(4)).await?;
    bench.answers(APPLIED, Some(3)).await?;
    let hour = "SELECT count(*) FROM metrics.hourly WHERE native_id = 'a' AND count = 4 \
         AND sum = 20 AND average = 5 AND min = 1.5 AND max = 11 AND last = 11";
    bench.answers(hour, Some(1)).await?;
    bench.answers(&hour.replace("hourly", "daily"), Some(1)).await?;

    let rewind = ["positions", "rewind", "--topic", "metrics", "--to-beginning"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    bench.source.samples(start.plus(HOUR), &[Some(1.0)]).await?;
    bench.answers(SAMPLES, Some(5)).await?;
    bench.answers(APPLIED, Some(4)).await?;
    bench.answers(HOURS, Some(2)).await?;
    bench.answers(hour, Some(1)).await?;
    bench.answers("SELECT count(*) FROM metrics.series", Some(1)).await
}

#[tokio::test]
async fn a_late_sample_re_rolls_its_hour_and_its_day_alone() -> Outcome<()> {
    let mut bench = Bench::start_with("late", &[OFTEN]).await?;
    let start = yesterday();
    for hour in 0..3 {
        bench.source.samples(start.plus(HOUR * hour), &[Some(1.0), None, Some(2.0)]).await?;
    }
    bench.source.samples(start.minus(HOUR), &[Some(1.0)]).await?;
    bench.answers(HOURS, Some(4)).await?;
    bench.answers("SELECT max(count) FROM metrics.daily", Some(6)).await?;
    let tables = ["rollup_hour", "rollup_day"];
    for table in tables {
        let copy =
            format!("CREATE TABLE metrics.{table}_before AS SELECT at, xmin::text AS row_version");
        bench.sql(&format!("{copy} FROM metrics.{table}")).await?;
    }
    let late = start.plus(HOUR + Duration::from_secs(20));
    bench.source.samples(late, &[Some(6.0)]).await?;
    bench.answers("SELECT max(count) FROM metrics.daily", Some(7)).await?;
    let hour = format!("{HOURS} WHERE count = 3 AND sum = 9 AND max = 6 AND last = 2");
    bench.answers(&hour, Some(1)).await?;
    for table in tables {
        let changed = format!(
            "SELECT count(*) FROM metrics.{table} AS r JOIN metrics.{table}_before AS b \
             ON b.at = r.at AND b.row_version <> r.xmin::text"
        );
        bench.answers(&changed, Some(1)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn rollups_show_the_names_of_objects_whose_type_came_later() -> Outcome<()> {
    let mut bench = Bench::start_with("named", &[OFTEN]).await?;
    let person = "CREATE VIEW named AS SELECT * FROM metrics.hourly_named";
    bench.sql(person).await?;
    bench.source.samples(yesterday(), &[Some(1.0)]).await?;
    bench.answers(HOURS, Some(1)).await?;
    bench.answers("SELECT count(*) FROM named WHERE object_name IS NULL", Some(1)).await?;
    let name = [("name", Value::String("one".into()))];
    bench.source.whole(Topic::InventoryLive, ("a", Version::now()), &name).await?;
    bench.answers("SELECT count(*) FROM named WHERE object_name = 'one'", Some(1)).await?;
    let days = "SELECT count(*) FROM metrics.daily_named WHERE object_name = 'one'";
    bench.answers(days, Some(1)).await?;
    // Once the type is known there is nothing to do.
    bench.answers("SELECT tributary.name_objects()::int::bigint", Some(0)).await?;

    // Whoever drops a type's views loses these, and gets them back.
    bench.sql("DROP VIEW inventory.widget CASCADE").await?;
    bench.answers("SELECT count(to_regclass('metrics.daily_named'))", Some(1)).await?;
    bench.answers("SELECT count(*) FROM metrics.hourly_named", Some(1)).await
}

#[tokio::test]
async fn a_series_goes_when_nothing_is_left_of_it_and_nobody_has_seen_it_for_long() -> Outcome<()> {
    let mut bench = Bench::start_with("series", &[OFTEN]).await?;
    let start = yesterday();
    bench.source.samples(start, &[Some(1.0)]).await?;
    bench.answers(HOURS, Some(1)).await?;
    // Samples are kept for 30 days and what they come to for 400, until a month is over.
    let old = "UPDATE metrics.series SET seen_at = now() - interval '446 days';
        INSERT INTO metrics.series (source, type, native_id, name, unit, seen_at)
        VALUES ('test', 'widget', 'gone', 'cpu', '', now() - interval '446 days'),
            ('test', 'widget', 'not long ago', 'cpu', '', now() - interval '444 days')";
    bench.sql(old).await?;
    bench.answers("SELECT count(*) FROM metrics.series", Some(2)).await?;
    let gone = "SELECT count(*) FROM metrics.series WHERE native_id = 'gone'";
    bench.answers(gone, Some(0)).await?;

    // Whoever needs it has seen it.
    bench.persister.kill();
    bench.persister.restart()?;
    bench.source.samples(start, &[Some(1.0), Some(2.0)]).await?;
    bench.answers(SAMPLES, Some(2)).await?;
    let seen = "SELECT count(*) FROM metrics.series WHERE seen_at > now() - interval '1 day'";
    bench.answers(seen, Some(1)).await
}

#[tokio::test]
async fn ids_of_series_are_forgotten_with_the_connection_that_knew_them() -> Outcome<()> {
    let mut bench = Bench::start("forgotten").await?;
    let start = yesterday();
    bench.source.samples(start, &[Some(1.0)]).await?;
    bench.answers(SAMPLES, Some(1)).await?;
    // As after a restore of an older state, which has come to this id by another series.
    let restored = "DELETE FROM metrics.sample; DELETE FROM metrics.series;
        INSERT INTO metrics.series (id, source, type, native_id, name, unit)
        OVERRIDING SYSTEM VALUE VALUES (1, 'test', 'widget', 'other', 'cpu', 'percent');
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tributary'";
    bench.sql(restored).await?;
    bench.source.samples(start.plus(HOUR), &[Some(2.0)]).await?;
    bench.answers(SAMPLES, Some(1)).await?;
    let own = format!("{SAMPLES} JOIN metrics.series ON id = series WHERE native_id = 'a'");
    bench.answers(&own, Some(1)).await
}

#[tokio::test]
async fn what_can_not_be_kept_is_a_dead_letter() -> Outcome<()> {
    let mut bench = Bench::start("range").await?;
    let now = Version::now();
    bench.source.samples(now.minus(31 * 24 * HOUR), &[Some(1.0)]).await?;
    bench.source.samples(now.plus(25 * HOUR), &[Some(1.0)]).await?;
    // Only its gap is outside.
    bench.source.samples(now.plus(24 * HOUR - HOUR / 1000), &[Some(1.0), None]).await?;
    bench.source.samples(now, &[Some(f64::NAN)]).await?;
    bench.answers(APPLIED, Some(4)).await?;
    bench.answers(SAMPLES, Some(1)).await?;
    for (class, count) in [("out_of_range", 2), ("invalid_record", 1)] {
        let counted = format!(r#"dead_letters_total{{class="{class}"}} {count}"#);
        bench.admin_shows("/metrics", &counted).await?;
    }
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_persister_killed_in_the_middle_loses_nothing_and_doubles_nothing() -> Outcome<()> {
    let mut bench = Bench::start_with("killed", &[OFTEN]).await?;
    let start = yesterday();
    for number in 0..120_u32 {
        let values = [Some(f64::from(number)); 20];
        bench.source.samples(start.plus(Duration::from_secs(400) * number), &values).await?;
        if number % 20 == 19 {
            bench.persister.kill();
            bench.persister.restart()?;
        }
    }
    bench.answers(APPLIED, Some(120)).await?;
    bench.answers(SAMPLES, Some(2400)).await?;
    bench.answers("SELECT sum(count)::bigint FROM metrics.hourly", Some(2400)).await?;
    bench.answers("SELECT sum(sum)::bigint FROM metrics.daily", Some(20 * 119 * 60)).await
}

#[tokio::test]
async fn days_are_dropped_when_they_are_too_old_and_their_rollups_stay() -> Outcome<()> {
    let mut bench = Bench::start_with("days", &[OFTEN]).await?;
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'metrics.sample'::regclass";
    bench.answers(days, Some(3)).await?;
    let now = Version::now();
    bench.source.samples(now, &[Some(1.0)]).await?;
    bench.source.samples(now.minus(20 * 24 * HOUR), &[Some(2.0)]).await?;
    bench.answers(HOURS, Some(2)).await?;
    bench.answers(days, Some(4)).await?;
    bench.persister.kill();
    let shorter = [("TRIBUTARY_METRICS__RETENTION", "10d"), OFTEN];
    let _other = pipeline::persister(&bench.world, "slot-1", &shorter)?;
    bench.answers(days, Some(3)).await?;
    bench.answers(SAMPLES, Some(1)).await?;
    bench.answers(HOURS, Some(2)).await
}

#[tokio::test]
async fn hours_and_days_are_kept_for_times_of_their_own() -> Outcome<()> {
    let mut bench = Bench::start_with("months", &[OFTEN]).await?;
    let ages = "(VALUES (0), (100), (300)) AS ages(days)";
    for table in ["rollup_hour", "rollup_day"] {
        let make = format!(
            "SELECT tributary.make_partitions('metrics.{table}', \
             ARRAY(SELECT now() - days * interval '1 day' FROM {ages}));
             INSERT INTO metrics.{table} \
             SELECT 1, now() - days * interval '1 day', 1, 1, 1, 1, 1 FROM {ages}"
        );
        bench.sql(&make).await?;
    }
    bench.persister.kill();
    let apart = [
        ("TRIBUTARY_METRICS__HOURLY_RETENTION", "60d"),
        ("TRIBUTARY_METRICS__DAILY_RETENTION", "200d"),
        OFTEN,
    ];
    let _other = pipeline::persister(&bench.world, "slot-1", &apart)?;
    for (table, older) in [("rollup_hour", 0), ("rollup_day", 1)] {
        bench.answers(&format!("SELECT count(*) FROM metrics.{table}"), Some(1 + older)).await?;
        let months = format!(
            "SELECT count(to_regclass('metrics.{table}_' || to_char((now() - days * interval \
             '1 day') AT TIME ZONE 'UTC', 'YYYYMM'))) FROM {ages} WHERE days > 0"
        );
        bench.answers(&months, Some(older)).await?;
    }
    Ok(())
}
