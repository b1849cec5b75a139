//! Events or samples that are applied together, decoded without I/O.

use crate::window::{Window, days};
use crate::{events, samples};
use apache_avro::Schema;
use records::Version;
use records::contract::{ContractError, ContractRecord};
use records::history::{CheckedEvent, CheckedSamples, Event, Samples};
use records::rejection::Class;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Why a record can't be applied: its class, and what is wrong.
pub type Reject = (Class, String);

/// What kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the topic `events`.
    Events,
    /// Of the topic `metrics`.
    Samples,
}

/// A record and its number among those that were fetched with it.
#[derive(Debug, Clone)]
pub(crate) struct Numbered<T> {
    pub(crate) origin: usize,
    pub(crate) record: T,
}

/// An event, and whether it is only counted, as one of a storm.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) event: CheckedEvent,
    pub(crate) is_counted: bool,
}

/// Samples of an object, and the ids of their series once they are known.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    pub(crate) samples: CheckedSamples,
    pub(crate) ids: Vec<i64>,
}

/// Records of one kind that are applied together.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) records: Records,
}

#[derive(Debug, Clone)]
pub(crate) enum Records {
    Events(Vec<Numbered<Happened>>),
    Samples(Vec<Numbered<Poll>>),
}

impl Kind {
    /// The kind of the records with this full name.
    #[must_use]
    pub fn of_subject(name: &str) -> Option<Self> {
        match name {
            Event::SUBJECT => Some(Self::Events),
            Samples::SUBJECT => Some(Self::Samples),
            _ => None,
        }
    }
}

impl Batch {
    /// Without records.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        let records = match kind {
            Kind::Events => Records::Events(Vec::new()),
            Kind::Samples => Records::Samples(Vec::new()),
        };
        Self { records }
    }

    /// Decodes a record of the batch's kind, written under the schema `writer`, and adds it.
    ///
    /// # Errors
    /// [`Reject`]: [`Class::InvalidRecord`] or [`Class::OutOfRange`].
    pub fn add(
        &mut self,
        origin: usize,
        (writer, avro): (&Schema, &[u8]),
        window: &Window,
    ) -> Result<(), Reject> {
        match &mut self.records {
            Records::Events(events) => {
                let record = Happened { event: event(writer, avro, window)?, is_counted: false };
                events.push(Numbered { origin, record });
            }
            Records::Samples(polls) => {
                let record = Poll { samples: poll(writer, avro, window)?, ids: Vec::new() };
                polls.push(Numbered { origin, record });
            }
        }
        Ok(())
    }

    /// Writes the rows inside of the caller's transaction; gives how many are new. The batch must
    /// have been [prepared](crate::Known::prepare) on this connection.
    ///
    /// # Errors
    /// What PostgreSQL said; the transaction must then be rolled back.
    pub async fn apply(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        match &self.records {
            Records::Events(events) => events::insert(connection, events).await,
            Records::Samples(polls) => samples::insert(connection, polls).await,
        }
    }

    /// How many records.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.records {
            Records::Events(events) => events.len(),
            Records::Samples(polls) => polls.len(),
        }
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sources of its records.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<&str> {
        match &self.records {
            Records::Events(all) => {
                all.iter().map(|one| one.record.event.get().source.as_str()).collect()
            }
            Records::Samples(all) => {
                all.iter().map(|poll| poll.record.samples.object.source.as_str()).collect()
            }
        }
    }

    /// When its records happened or were read.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        match &self.records {
            Records::Events(all) => all.iter().map(|one| one.record.event.occurred_at()).collect(),
            Records::Samples(all) => all.iter().map(|poll| poll.record.samples.version).collect(),
        }
    }

    /// The days that its rows are of.
    pub(crate) fn days(&self) -> BTreeSet<i64> {
        let of_event = |one: &Numbered<Happened>| {
            let moment = one.record.event.occurred_at();
            (moment, moment)
        };
        let moments: Vec<(Version, Version)> = match &self.records {
            Records::Events(events) => events.iter().map(of_event).collect(),
            Records::Samples(all) => {
                all.iter().filter_map(|poll| poll.record.samples.moments()).collect()
            }
        };
        moments.into_iter().flat_map(|(first, last)| days(first, last)).collect()
    }
}

fn event(writer: &Schema, avro: &[u8], window: &Window) -> Result<CheckedEvent, Reject> {
    let event = Event::decode(writer, avro).and_then(Event::validate).map_err(invalid)?;
    window.check(event.occurred_at()).map_err(out_of_range)?;
    Ok(event)
}

fn poll(writer: &Schema, avro: &[u8], window: &Window) -> Result<CheckedSamples, Reject> {
    let samples = Samples::decode(writer, avro).and_then(Samples::validate).map_err(invalid)?;
    if let Some((first, last)) = samples.moments() {
        window.check(first).and_then(|()| window.check(last)).map_err(out_of_range)?;
    }
    Ok(samples)
}

fn invalid(error: ContractError) -> Reject {
    (Class::InvalidRecord, error.to_string())
}

const fn out_of_range(reason: String) -> Reject {
    (Class::OutOfRange, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::history::Severity;
    use records::rejection::Class;
    use std::time::Duration;

    fn sent(occurred_at: Version) -> Vec<u8> {
        let event = Event {
            source: "vc1".into(),
            event_id: "7".into(),
            event_type: "Booted".into(),
            occurred_at: occurred_at.micros(),
            severity: Severity::Info,
            subject: None,
            related: Vec::new(),
            message: String::new(),
            details: [].into(),
        };
        event.encode()
    }

    #[test]
    fn a_record_is_in_the_batch_or_rejected_with_its_class() {
        let now = Version::now();
        let window = Window::at(now, Duration::from_hours(24));
        let mut batch = Batch::new(Kind::Events);
        let mut add = |avro: &[u8]| batch.add(0, (Event::schema(), avro), &window);
        assert_eq!(add(&sent(now)), Ok(()));
        let class = |result: Result<(), Reject>| result.unwrap_err().0;
        assert_eq!(class(add(&sent(now.minus(Duration::from_hours(25))))), Class::OutOfRange);
        assert_eq!(class(add(&sent(now.plus(Duration::from_hours(25))))), Class::OutOfRange);
        assert_eq!(class(add(b"junk")), Class::InvalidRecord);
        assert_eq!((batch.len(), batch.days().len()), (1, 1));
    }
}
