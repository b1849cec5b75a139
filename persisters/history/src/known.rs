//! What a connection knows to be there: partitions, and ids of series.

use crate::batch::{Batch, Kind, Numbered, Poll, Records};
use crate::partitions::{make, tables};
use crate::series::{Key, ids};
use crate::settings::Settings;
use crate::storms::Storms;
use crate::window::DAY_MICROS;
use records::Version;
use records::contract::ObjectRef;
use records::history::Series;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long ids are remembered: a series that is needed must be seen to be.
const SERIES_AGE_MAX: Duration = Duration::from_hours(24);

/// Belongs to one connection, and is forgotten with it: what was there may not be any more.
#[derive(Debug)]
pub struct Known {
    days: HashSet<i64>,
    storms: Storms,
    /// By object and counter, so that an object's names are kept once.
    series: HashMap<String, HashMap<String, i64>>,
    series_count: usize,
    series_max: usize,
    /// When the first of them became known.
    series_since: Instant,
}

impl Known {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            days: HashSet::new(),
            storms: Storms::new(settings.storm_per_minute),
            series: HashMap::new(),
            series_count: 0,
            series_max: settings.series_remembered_max,
            series_since: Instant::now(),
        }
    }

    /// Makes what the batch's rows need: partitions, and the ids of series. It is to be called
    /// outside of the transaction that applies the batch.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub async fn prepare(
        &mut self,
        connection: &mut PgConnection,
        batch: &mut Batch,
    ) -> Result<(), sqlx::Error> {
        let kind = match batch.records {
            Records::Events(_) => Kind::Events,
            Records::Samples(_) => Kind::Samples,
        };
        let days = batch.days();
        let new: Vec<i64> = days.into_iter().filter(|day| !self.days.contains(day)).collect();
        if !new.is_empty() {
            let moments: Vec<Version> =
                new.iter().map(|day| Version::from_micros(day * DAY_MICROS)).collect();
            for table in tables(kind) {
                make(connection, table, &moments).await?;
            }
            self.days.extend(new);
        }
        match &mut batch.records {
            Records::Events(events) => {
                self.storms.mark(events);
                Ok(())
            }
            Records::Samples(polls) => self.identify(connection, polls).await,
        }
    }

    async fn identify(
        &mut self,
        connection: &mut PgConnection,
        polls: &mut [Numbered<Poll>],
    ) -> Result<(), sqlx::Error> {
        self.forget(Instant::now());
        let unknown = self.unknown(polls);
        if !unknown.is_empty() {
            let ids = ids(connection, &unknown).await?;
            for (key, id) in unknown.iter().zip(ids) {
                let (source, entity_type, native_id, name, unit) = key;
                let object = self.series.entry(joined(&[source, entity_type, native_id]));
                object.or_default().insert(joined(&[name, unit]), id);
                self.series_count += 1;
            }
        }
        for poll in polls {
            let Poll { samples, ids } = &mut poll.record;
            let known = self.series.get(&object_key(&samples.object));
            let id = |series: &Series| known?.get(&joined(&[&series.name, &series.unit])).copied();
            *ids = samples.series.iter().filter_map(id).collect();
        }
        Ok(())
    }

    /// Forgets all series if they are too many, or known for too long.
    fn forget(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.series_since);
        if self.series_count > self.series_max || age >= SERIES_AGE_MAX {
            self.series.clear();
            self.series_count = 0;
            self.series_since = now;
        }
    }

    fn unknown<'a>(&self, polls: &'a [Numbered<Poll>]) -> Vec<Key<'a>> {
        let mut unknown = BTreeSet::new();
        for poll in polls {
            let samples = &poll.record.samples;
            let known = self.series.get(&object_key(&samples.object));
            for series in &samples.series {
                let is_known =
                    known.is_some_and(|o| o.contains_key(&joined(&[&series.name, &series.unit])));
                if !is_known {
                    unknown.insert(key(&samples.object, series));
                }
            }
        }
        unknown.into_iter().collect()
    }
}

fn key<'a>(object: &'a ObjectRef, series: &'a Series) -> Key<'a> {
    let (source, entity_type) = (object.source.as_str(), object.entity_type.as_str());
    (source, entity_type, object.native_id.as_str(), &series.name, &series.unit)
}

fn object_key(object: &ObjectRef) -> String {
    joined(&[object.source.as_str(), object.entity_type.as_str(), object.native_id.as_str()])
}

/// No name has a NUL character.
fn joined(names: &[&str]) -> String {
    names.join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_forgotten_when_they_are_too_many_or_known_for_a_day() {
        let mut known = Known::new(&Settings {
            events_retention: Duration::ZERO,
            storm_per_minute: 0,
            metrics_retention: Duration::ZERO,
            hourly_retention: Duration::ZERO,
            daily_retention: Duration::ZERO,
            upkeep_every: Duration::ZERO,
            series_remembered_max: 2,
        });
        let counted_after = |known: &mut Known, count, age| {
            known.series_count = count;
            known.forget(known.series_since + age);
            known.series_count
        };
        assert_eq!(counted_after(&mut known, 2, SERIES_AGE_MAX - Duration::from_secs(1)), 2);
        assert_eq!(counted_after(&mut known, 3, Duration::ZERO), 0);
        assert_eq!(counted_after(&mut known, 2, SERIES_AGE_MAX), 0);
        assert_eq!(counted_after(&mut known, 2, Duration::from_secs(1)), 2);
    }
}
