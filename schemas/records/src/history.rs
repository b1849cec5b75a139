//! Records of what happened at a time: events and samples, as sent and as checked.

use crate::contract::{ContractError, ObjectRef};
use crate::{NativeId, SourceName, TypeName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most bytes of an event's id, of its type, and of a counter's name: they stand in indexes.
const NAME_BYTES_MAX: usize = 512;
/// The highest value of a sample, also below zero: a day's sum of such is still a number.
const VALUE_MAX: f64 = 1e300;
/// The most bytes of a unit.
const UNIT_BYTES_MAX: usize = 64;

/// Something that happened at a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The source.
    pub source: String,
    /// Unique within the source.
    pub event_id: String,
    /// The provider's own name of such events.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When, in microseconds since the epoch.
    pub occurred_at: i64,
    /// How grave.
    pub severity: Severity,
    /// What it is about; `None`: the source as a whole.
    pub subject: Option<Object>,
    /// What else it touches.
    pub related: Vec<Object>,
    /// For people.
    pub message: String,
    /// What else the provider says.
    pub details: BTreeMap<String, String>,
}

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For who looks for a mistake.
    Debug,
    /// As expected.
    Info,
    /// It may become an error.
    Warning,
    /// Something failed.
    Error,
    /// Somebody must act at once.
    Critical,
}

/// An object of an event's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Its id.
    pub native_id: String,
}

/// What one object's counters showed at equal steps of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The source.
    pub source: String,
    /// The object's type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// The object's id.
    pub native_id: String,
    /// When the counters were read, in microseconds since the epoch.
    pub version: i64,
    /// The moment of each series' first value, in microseconds since the epoch.
    pub start: i64,
    /// From one value to the next, in milliseconds.
    pub step_ms: i32,
    /// One for each counter.
    pub series: Vec<Series>,
}

/// What one counter showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The provider's own name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// One at each step; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// An event whose names are checked, and whose texts PostgreSQL can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedEvent(Event);

/// Samples whose object is checked, and whose values are finite and lie on the time line.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedSamples {
    /// Of what.
    pub object: ObjectRef,
    /// When the counters were read.
    pub version: Version,
    /// The counters.
    pub series: Vec<Series>,
    start: i64,
    step_micros: i64,
}

impl Severity {
    /// The symbol of the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl Event {
    /// Checks the names, and that PostgreSQL can hold the texts.
    ///
    /// # Errors
    /// [`ContractError`], which says what breaks which rule.
    pub fn validate(self) -> Result<CheckedEvent, ContractError> {
        SourceName::new(&self.source)?;
        bounded("event_id", &self.event_id, 1..=NAME_BYTES_MAX)?;
        bounded("type", &self.event_type, 1..=NAME_BYTES_MAX)?;
        for object in self.subject.iter().chain(&self.related) {
            TypeName::new(&object.entity_type)?;
            NativeId::new(&object.native_id)?;
        }
        let details = self.details.iter().flat_map(|(name, value)| [name, value]);
        if details.chain([&self.message]).any(|text| text.contains('\0')) {
            return Err(rule(Self::RECORD, "message or details have a NUL character"));
        }
        Ok(CheckedEvent(self))
    }

    const RECORD: &str = "tributary.events.Event";
}

impl CheckedEvent {
    /// What it says.
    #[must_use]
    pub const fn get(&self) -> &Event {
        &self.0
    }

    /// When it happened.
    #[must_use]
    pub const fn occurred_at(&self) -> Version {
        Version::from_micros(self.0.occurred_at)
    }
}

impl Samples {
    /// Checks names, values and times.
    ///
    /// # Errors
    /// [`ContractError`], which says what breaks which rule.
    pub fn validate(self) -> Result<CheckedSamples, ContractError> {
        let object = ObjectRef {
            source: SourceName::new(self.source)?,
            entity_type: TypeName::new(self.entity_type)?,
            native_id: NativeId::new(self.native_id)?,
        };
        if self.step_ms <= 0 {
            return Err(rule(Self::RECORD, "step_ms is not above zero"));
        }
        for series in &self.series {
            bounded("series name", &series.name, 1..=NAME_BYTES_MAX)?;
            bounded("unit", &series.unit, 0..=UNIT_BYTES_MAX)?;
            let is_number = |value: &f64| value.is_finite() && value.abs() <= VALUE_MAX;
            if !series.values.iter().flatten().all(is_number) {
                return Err(rule(
                    Self::RECORD,
                    "a value is not finite, or above 1e300; a gap is null",
                ));
            }
        }
        Ok(CheckedSamples {
            object,
            version: Version::from_micros(self.version),
            series: self.series,
            start: self.start,
            step_micros: i64::from(self.step_ms) * 1000,
        })
    }

    const RECORD: &str = "tributary.metrics.Samples";
}

impl CheckedSamples {
    /// Moments and values of a series, without its gaps.
    pub fn values<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = (Version, f64)> + 'a {
        let values = series.values.iter().enumerate();
        values.filter_map(|(step, value)| Some((self.moment(step), (*value)?)))
    }

    /// The first and the last moment that has a value; `None`: there are only gaps.
    #[must_use]
    pub fn moments(&self) -> Option<(Version, Version)> {
        let steps = self.series.iter().flat_map(|series| {
            let has_value = Option::is_some;
            let first = series.values.iter().position(has_value);
            first.into_iter().chain(series.values.iter().rposition(has_value))
        });
        let (first, last) = steps.fold(None, |range: Option<(usize, usize)>, step| {
            Some(range.map_or((step, step), |(first, last)| (first.min(step), last.max(step))))
        })?;
        Some((self.moment(first), self.moment(last)))
    }

    fn moment(&self, step: usize) -> Version {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Version::from_micros(self.start.saturating_add(step.saturating_mul(self.step_micros)))
    }
}

fn bounded(
    what: &str,
    text: &str,
    bytes: std::ops::RangeInclusive<usize>,
) -> Result<(), ContractError> {
    if bytes.contains(&text.len()) && !text.contains('\0') {
        return Ok(());
    }
    let (least, most) = (bytes.start(), bytes.end());
    Err(ContractError::Rule(format!("{what} has {least} to {most} bytes and no NUL character")))
}

fn rule(record: &str, reason: &str) -> ContractError {
    ContractError::Rule(format!("not a valid {record} record: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: Vec<Option<f64>>) -> Samples {
        Samples {
            source: "vc1".into(),
            entity_type: "host".into(),
            native_id: "h".into(),
            version: 1,
            start: 1_000_000,
            step_ms: 20_000,
            series: vec![Series { name: "cpu".into(), unit: "percent".into(), values }],
        }
    }

    #[test]
    fn gaps_have_no_moment() {
        let checked = samples(vec![None, Some(1.5), None, Some(2.5), None]).validate().unwrap();
        let moment = |micros| Version::from_micros(micros);
        let values: Vec<_> = checked.values(&checked.series[0]).collect();
        assert_eq!(values, [(moment(21_000_000), 1.5), (moment(61_000_000), 2.5)]);
        assert_eq!(checked.moments(), Some((moment(21_000_000), moment(61_000_000))));
        assert_eq!(samples(vec![None]).validate().unwrap().moments(), None);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let error = samples(vec![Some(f64::NAN)]).validate().unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
        assert!(samples(vec![Some(1e301)]).validate().is_err());
        let error = Samples { step_ms: 0, ..samples(vec![]) }.validate().unwrap_err().to_string();
        assert!(error.contains("step_ms"), "{error}");
    }
}
