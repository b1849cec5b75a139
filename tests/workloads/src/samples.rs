//! The samples that are sent: what ten counters of some hosts showed in an hour of yesterday.

use records::Version;
use records::history::{Samples, Series};

/// The source.
pub const SOURCE: &str = "bench";

/// The type of the objects.
pub const TYPE: &str = "bench_host";

/// Names and units of an object's counters.
pub const COUNTERS: [(&str, &str); 10] = [
    ("cpu.usage.average", "percent"),
    ("cpu.ready.summation", "millisecond"),
    ("mem.active.average", "kilobyte"),
    ("mem.consumed.average", "kilobyte"),
    ("mem.swapused.average", "kilobyte"),
    ("disk.read.average", "kilobytes per second"),
    ("disk.write.average", "kilobytes per second"),
    ("net.received.average", "kilobytes per second"),
    ("net.transmitted.average", "kilobytes per second"),
    ("sys.uptime.latest", "second"),
];

/// Values of a counter in a poll: what a vCenter's hosts have in five minutes.
const VALUES: u64 = 15;

const STEP_MS: i32 = 20_000;

const POLL_MICROS: i64 = VALUES as i64 * STEP_MS as i64 * 1_000;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Polls of an object: an hour.
const POLLS: u64 = 12;

/// Samples in a record, which is a poll of one object.
pub const EACH: u64 = COUNTERS.len() as u64 * VALUES;

/// All samples.
#[derive(Debug, Clone, Copy)]
pub struct Hour {
    /// How many objects were polled.
    pub objects: u64,
    /// Its beginning.
    pub begin: Version,
}

impl Hour {
    /// The hour a day before `now`, with about so many samples.
    #[must_use]
    pub fn of(samples: u64, now: Version) -> Self {
        let micros = now.micros() - 24 * HOUR_MICROS;
        let begin = Version::from_micros(micros - micros.rem_euclid(HOUR_MICROS));
        Self { objects: samples.div_ceil(EACH * POLLS), begin }
    }

    /// How many records.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.objects * POLLS
    }

    /// The records in the order in which a collector sends them: all objects' first poll, then
    /// the second.
    pub fn polls(self) -> impl Iterator<Item = Samples> {
        let all = (0..POLLS).flat_map(move |poll| (0..self.objects).map(move |o| (poll, o)));
        all.map(move |(poll, object)| self.poll(poll, object))
    }

    /// The same as rows: the number of the series, the moment, the value.
    pub fn rows(self) -> impl Iterator<Item = (i64, i64, f64)> {
        let objects = (0..self.objects.cast_signed()).cycle();
        self.polls().zip(objects).flat_map(|(poll, object)| {
            let step = i64::from(poll.step_ms) * 1_000;
            let series = (series_of(object)..).zip(poll.series);
            series.flat_map(move |(id, series)| {
                let moments = (poll.start..).step_by(step.unsigned_abs() as usize);
                let values = moments.zip(series.values);
                values.filter_map(move |(at, value)| Some((id, at, value?)))
            })
        })
    }

    fn poll(&self, poll: u64, object: u64) -> Samples {
        let start = self.begin.micros() + poll.cast_signed() * POLL_MICROS;
        let series = (0..).zip(COUNTERS).map(|(counter, (name, unit))| {
            let of = |step| Some(value(object, counter, poll * VALUES + step));
            let values = (0..VALUES).map(of).collect();
            Series { name: name.into(), unit: unit.into(), values }
        });
        Samples {
            source: SOURCE.into(),
            entity_type: TYPE.into(),
            native_id: native_id(object),
            version: start + POLL_MICROS,
            start,
            step_ms: STEP_MS,
            series: series.collect(),
        }
    }
}

/// The name that the source gives to an object.
fn native_id(object: u64) -> String {
    format!("host-{object}")
}

/// The number of an object's first series; those of its other counters follow.
#[must_use]
pub const fn series_of(object: i64) -> i64 {
    1 + object * COUNTERS.len() as i64
}

/// Moves from step to step, each counter in a way of its own.
fn value(object: u64, counter: u64, step: u64) -> f64 {
    let mixed = (object * 10 + counter + step * 7) * 37 % 10_007;
    mixed as f64 / 16.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DAY_MICROS: i64 = 24 * HOUR_MICROS;

    #[test]
    fn an_hour_is_past_and_lies_in_one_day() {
        for now in [0, 1, HOUR_MICROS - 1, HOUR_MICROS] {
            let now = Version::from_micros(20_000 * DAY_MICROS + now);
            let hour = Hour::of(2_000_000, now);
            assert_eq!(hour.records() * EACH, 2_000_000 / 1_800 * 1_800 + 1_800);
            let first = hour.begin.micros();
            let last = Hour { objects: 1, ..hour }.rows().map(|row| row.1).max().unwrap();
            assert_eq!(first.div_euclid(DAY_MICROS), last.div_euclid(DAY_MICROS));
            assert!(last - first == HOUR_MICROS - 20_000_000 && last < now.micros());
        }
    }

    #[test]
    fn no_row_is_there_twice_and_each_series_is_one_counters() {
        let hour = Hour { objects: 3, begin: Version::from_micros(HOUR_MICROS) };
        let keys: BTreeSet<_> = hour.rows().map(|(series, at, _)| (series, at)).collect();
        assert_eq!(keys.len() as u64, 3 * POLLS * EACH);
        let series: BTreeSet<_> = keys.iter().map(|(series, _)| *series).collect();
        assert_eq!(series.into_iter().collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    }
}
