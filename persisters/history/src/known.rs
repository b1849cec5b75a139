//! What a connection knows to be there: partitions, and ids of series.

use crate::batch::{Batch, Kind, Numbered, Poll, Records};
use crate::partitions::{make, tables};
use crate::settings::Settings;
use crate::storms::Storms;
use crate::window::DAY_MICROS;
use records::Version;
use records::contract::ObjectRef;
use records::history::Series;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The most series whose ids are remembered; then it begins anew.
const SERIES_MAX: usize = 500_000;

/// Belongs to one connection, and is forgotten with it: what was there may not be any more.
#[derive(Debug)]
pub struct Known {
    days: HashSet<i64>,
    storms: Storms,
    /// By object and counter, so that an object's names are kept once.
    series: HashMap<String, HashMap<String, i64>>,
    series_count: usize,
}

/// A series: object, name and unit, in the order of the table's key.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

impl Known {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            days: HashSet::new(),
            storms: Storms::new(settings.storm_per_minute),
            series: HashMap::new(),
            series_count: 0,
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
        if self.series_count > SERIES_MAX {
            self.series.clear();
            self.series_count = 0;
        }
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

/// The ids of series, in their order; those that are new are made, and will outlive a crash: the
/// samples that a later transaction adds must not be another counter's.
async fn ids(connection: &mut PgConnection, keys: &[Key<'_>]) -> Result<Vec<i64>, sqlx::Error> {
    let column = |of: fn(&Key<'_>) -> String| keys.iter().map(of).collect::<Vec<_>>();
    let columns = [
        column(|key| key.0.to_owned()),
        column(|key| key.1.to_owned()),
        column(|key| key.2.to_owned()),
        column(|key| key.3.to_owned()),
        column(|key| key.4.to_owned()),
    ];
    let mut transaction = connection.begin().await?;
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *transaction).await?;
    let insert = sqlx::query(
        "INSERT INTO metrics.series (source, type, native_id, name, unit) \
         SELECT i.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
         AS i(source, type, native_id, name, unit) WHERE NOT EXISTS (SELECT FROM metrics.series \
         AS s WHERE (s.source, s.type, s.native_id, s.name, s.unit) \
         = (i.source, i.type, i.native_id, i.name, i.unit)) ON CONFLICT DO NOTHING",
    );
    let bound = columns.iter().fold(insert, |query, column| query.bind(column));
    bound.execute(&mut *transaction).await?;
    let select = sqlx::query_scalar(
        "SELECT s.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
         WITH ORDINALITY AS i(source, type, native_id, name, unit, ord) \
         JOIN metrics.series AS s USING (source, type, native_id, name, unit) ORDER BY i.ord",
    );
    let bound = columns.iter().fold(select, |query, column| query.bind(column));
    let ids = bound.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(ids)
}
