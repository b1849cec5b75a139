//! Dead letters: why a record was rejected and where it was, as its headers say it.

use crate::{Offset, Partition};
use std::fmt;
use std::str::FromStr;

/// The names of a dead letter's headers.
pub mod header {
    /// The [`Class`](super::Class).
    pub const CLASS: &str = "tributary-error-class";
    /// What is wrong, and what to do.
    pub const MESSAGE: &str = "tributary-error-message";
    /// The topic of the [`Origin`](super::Origin).
    pub const TOPIC: &str = "tributary-topic";
    /// Its partition.
    pub const PARTITION: &str = "tributary-partition";
    /// Its offset.
    pub const OFFSET: &str = "tributary-offset";
    /// When, in microseconds since the epoch.
    pub const REJECTED_AT: &str = "tributary-rejected-at";
    /// The size of a record that was too large for the dead-letter topic: then only its key is
    /// there, and the record itself at its origin.
    pub const LEFT_OUT_BYTES: &str = "tributary-left-out-bytes";
}

/// Why a record can't be applied: a closed set, also the label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It has no value.
    NoValue,
    /// It was not written with a schema registry.
    NotFramed,
    /// The registry has no such schema id.
    UnknownSchema,
    /// What the registry has is no Avro schema.
    InvalidSchema,
    /// Its schema is of no entity type, and of no record of the contract; or another record type
    /// has its table.
    UnknownRecordType,
    /// Its bytes, names or range break the contract, or a value is one that no column can hold.
    InvalidRecord,
    /// Its version is before 2000 or too far ahead.
    ImplausibleVersion,
    /// An event or samples among the inventory, or the other way round.
    WrongTopic,
    /// An event or a sample that is older than what is kept, or too far ahead.
    OutOfRange,
    /// It is of a version of its type that the table has left behind for a newer one, or that a
    /// person has given up.
    Table,
    /// A constraint, a trigger or a limit of PostgreSQL is against it.
    RefusedByDatabase,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::NoValue,
        Self::NotFramed,
        Self::UnknownSchema,
        Self::InvalidSchema,
        Self::UnknownRecordType,
        Self::InvalidRecord,
        Self::ImplausibleVersion,
        Self::WrongTopic,
        Self::OutOfRange,
        Self::Table,
        Self::RefusedByDatabase,
    ];

    /// Its name in headers, metrics and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::NotFramed => "not_framed",
            Self::UnknownSchema => "unknown_schema",
            Self::InvalidSchema => "invalid_schema",
            Self::UnknownRecordType => "unknown_record_type",
            Self::InvalidRecord => "invalid_record",
            Self::ImplausibleVersion => "implausible_version",
            Self::WrongTopic => "wrong_topic",
            Self::OutOfRange => "out_of_range",
            Self::Table => "table",
            Self::RefusedByDatabase => "refused_by_database",
        }
    }

    /// What a person can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoValue => "nothing is lost; let the producer send a Delete for what is gone",
            Self::NotFramed => "correct the producer: it must write with a schema registry",
            Self::UnknownSchema => {
                "point producer and persister to one registry, then replay the record"
            }
            Self::InvalidSchema => "correct the producer: it must write Avro",
            Self::UnknownRecordType => {
                "correct the record's schema: see what every entity record has"
            }
            Self::InvalidRecord => "correct the producer",
            Self::ImplausibleVersion => "correct the producer's clock or its unit of time",
            Self::WrongTopic => "correct the producer: each kind of record has its topic",
            Self::OutOfRange => "correct the clock or the unit of time, or keep more and replay it",
            Self::Table => "let the producer write the version of the type that the table holds",
            Self::RefusedByDatabase => {
                "correct the value, or what refuses it in PostgreSQL, then replay the record"
            }
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|class| class.name() == name);
        let names = || Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("{name:?} is no class of dead letters; there are {}", names()))
    }
}

/// Where a rejected record was: what identifies a dead letter, however often it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let mut parts = id.rsplitn(3, '/');
        let offset = parts.next().and_then(|text| text.parse().ok()).map(Offset);
        let partition = parts.next().and_then(|text| text.parse().ok()).map(Partition);
        let topic = parts.next().filter(|topic| !topic.is_empty()).map(str::to_owned);
        match (topic, partition, offset) {
            (Some(topic), Some(partition), Some(offset)) => Ok(Self { topic, partition, offset }),
            _ => Err(format!("{id:?} is no place of a record, which is TOPIC/PARTITION/OFFSET")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_read_as_they_are_written() {
        for class in Class::ALL {
            assert_eq!(class.name().parse(), Ok(class));
        }
        assert!("typo".parse::<Class>().unwrap_err().contains("no_value, not_framed"));
        let origin = Origin {
            topic: "t.inventory.live".to_owned(),
            partition: Partition(3),
            offset: Offset(17),
        };
        assert_eq!(origin.to_string(), "t.inventory.live/3/17");
        assert_eq!(origin.to_string().parse(), Ok(origin));
        assert!("3/17".parse::<Origin>().is_err());
    }
}
