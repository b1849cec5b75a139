//! The records of the contract that are not entities, with their Avro forms.

use crate::history::{Event, Samples};
use crate::{InvalidName, NativeId, SourceName, TypeName, Version};
use apache_avro::{Schema, from_avro_datum, from_value, to_avro_datum, to_value};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::LazyLock;

/// The files in `schemas/avro` that are records of the contract.
pub const NAMES: &[&str] =
    &["delete", "extent", "lease", "position", "directive", "event", "samples"];

/// The most items or bytes that the decoder makes room for: no record has more bytes, and one that
/// says that it has must not use up the memory.
pub const LENGTH_MAX: usize = 8 << 20;

/// An object is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Its source.
    pub source: String,
    /// Its type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Its id.
    pub native_id: String,
    /// When, in microseconds since the epoch.
    pub version: i64,
}

/// As of the version, exactly these keys exist in the range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The source.
    pub source: String,
    /// The type; `None` with no keys: the source is gone, all types.
    #[serde(rename = "type")]
    pub entity_type: Option<String>,
    /// The range's first possible id.
    pub from: String,
    /// The first id after the range; `None`: to the end.
    pub to: Option<String>,
    /// When, in microseconds since the epoch.
    pub version: i64,
    /// The ids that exist, in byte order.
    pub keys: Vec<String>,
}

/// The right of one writer to issue a source's versions up to a ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The source.
    pub source: String,
    /// Who writes, unique per process.
    pub writer: String,
    /// Counts the writers of this source; the highest is the only one.
    pub term: i64,
    /// The highest version that may be issued.
    pub ceiling: i64,
}

/// How far a collector has come in one of its streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The source.
    pub source: String,
    /// The stream's name.
    pub stream: String,
    /// The version of the newest record that is acknowledged.
    pub version: i64,
    /// Where to resume, in the provider's own form.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub token: Vec<u8>,
}

/// What the orchestrator wants of a source's collector: a state, not a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Directive {
    /// The source, or a group.
    pub source: String,
    /// Collect nothing.
    pub paused: bool,
    /// The most records per second for full refreshes; `None`: no limit.
    pub bulk_records_per_second: Option<f64>,
    /// A listing of at least this version is wanted.
    pub listing_wanted_since: Option<i64>,
    /// What the wanted listing is about; `None`: everything.
    pub scope: Option<Scope>,
    /// From then on the safe defaults hold again; microseconds since the epoch.
    pub expires_at: i64,
}

/// A part of a source's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// What their ids begin with.
    pub prefix: String,
}

/// A record that does not keep the contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The bytes are no such record.
    #[error("not a valid {record} record: {reason}")]
    Avro {
        /// The record's name.
        record: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Another rule of the contract.
    #[error("{0}")]
    Rule(String),
}

/// A record of the contract: its schema and its Avro form.
pub trait ContractRecord: Serialize + DeserializeOwned {
    /// The record's full name, also the registry's subject.
    const SUBJECT: &'static str;

    /// The schema of this project's version.
    fn schema() -> &'static Schema;

    /// The schema's source.
    fn json() -> &'static str;

    /// Avro binary under [`Self::schema`].
    ///
    /// # Panics
    /// Never for a record made by this crate: its fields are those of the schema.
    fn encode(&self) -> Vec<u8> {
        let value = to_value(self).expect("plain fields");
        let value = value.resolve(Self::schema()).expect("the fields of the schema");
        to_avro_datum(Self::schema(), value).expect("a resolved value")
    }

    /// Decodes Avro binary that was written under `writer`.
    ///
    /// # Errors
    /// [`ContractError::Avro`] if the bytes do not fit.
    fn decode(writer: &Schema, mut bytes: &[u8]) -> Result<Self, ContractError> {
        let error = |reason: String| ContractError::Avro { record: Self::SUBJECT, reason };
        // The first call counts, for the whole process.
        apache_avro::util::max_allocation_bytes(LENGTH_MAX);
        let value = from_avro_datum(writer, &mut bytes, Some(Self::schema()))
            .map_err(|e| error(e.to_string()))?;
        if !bytes.is_empty() {
            return Err(error(format!("{} bytes are left after the last field", bytes.len())));
        }
        from_value(&value).map_err(|e| error(e.to_string()))
    }
}

macro_rules! contract_record {
    ($record:ty, $file:literal, $subject:literal) => {
        impl ContractRecord for $record {
            const SUBJECT: &'static str = $subject;

            fn schema() -> &'static Schema {
                static SCHEMA: LazyLock<Schema> =
                    LazyLock::new(|| Schema::parse_str(<$record>::json()).expect("a valid schema"));
                &SCHEMA
            }

            fn json() -> &'static str {
                include_str!(concat!("../../avro/", $file, ".avsc"))
            }
        }
    };
}

contract_record!(Delete, "delete", "tributary.inventory.Delete");
contract_record!(Extent, "extent", "tributary.inventory.Extent");
contract_record!(Lease, "lease", "tributary.checkpoints.Lease");
contract_record!(Position, "position", "tributary.checkpoints.Position");
contract_record!(Directive, "directive", "tributary.control.Directive");
contract_record!(Event, "event", "tributary.events.Event");
contract_record!(Samples, "samples", "tributary.metrics.Samples");

/// A delete whose names are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// The source.
    pub source: SourceName,
    /// The type.
    pub entity_type: TypeName,
    /// The id.
    pub native_id: NativeId,
}

impl Delete {
    /// Checks the names.
    ///
    /// # Errors
    /// [`ContractError::Name`].
    pub fn validate(self) -> Result<(ObjectRef, Version), ContractError> {
        let object = ObjectRef {
            source: SourceName::new(self.source)?,
            entity_type: TypeName::new(self.entity_type)?,
            native_id: NativeId::new(self.native_id)?,
        };
        Ok((object, Version::from_micros(self.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Object, Series, Severity};

    fn round_trip<R: ContractRecord + PartialEq + std::fmt::Debug>(record: &R) {
        assert_eq!(&R::decode(R::schema(), &record.encode()).unwrap(), record);
    }

    #[test]
    fn records_survive_their_avro_form() {
        let (source, entity_type) = ("vc1".to_owned(), "host".to_owned());
        round_trip(&Delete {
            source: source.clone(),
            entity_type,
            native_id: "h".into(),
            version: 7,
        });
        round_trip(&Extent {
            source: source.clone(),
            entity_type: None,
            from: String::new(),
            to: Some("b".into()),
            version: 7,
            keys: vec!["a".into()],
        });
        round_trip(&Lease { source: source.clone(), writer: "w".into(), term: 3, ceiling: 9 });
        let token = vec![0, 255, 7];
        round_trip(&Position { source: source.clone(), stream: "s".into(), version: 1, token });
        round_trip(&Directive {
            source,
            paused: true,
            bulk_records_per_second: Some(2.5),
            listing_wanted_since: Some(5),
            scope: Some(Scope { entity_type: "host".into(), prefix: "h".into() }),
            expires_at: 11,
        });
    }

    #[test]
    fn events_and_samples_survive_their_avro_form() {
        let (source, native_id) = ("vc1".to_owned(), "h".to_owned());
        let object = Object { entity_type: "host".into(), native_id: native_id.clone() };
        round_trip(&Event {
            source: source.clone(),
            event_id: "7".into(),
            event_type: "HostConnected".into(),
            occurred_at: 7,
            severity: Severity::Warning,
            subject: Some(object.clone()),
            related: vec![object],
            message: "m".into(),
            details: [("k".to_owned(), "v".to_owned())].into(),
        });
        let (name, unit) = ("cpu".to_owned(), "percent".to_owned());
        round_trip(&Samples {
            source,
            entity_type: "host".into(),
            native_id,
            version: 7,
            start: 9,
            step_ms: 20_000,
            series: vec![Series { name, unit, values: vec![Some(1.5), None] }],
        });
    }

    /// The decoder makes room for as many keys as the record says that it has.
    #[test]
    fn a_record_that_lies_about_its_size_is_refused() {
        let count = [0x80, 0x90, 0xbc, 0xfd, 0x02];
        let lie = [&[2, b's', 0, 0, 0, 2], &count[..]].concat();
        let error = Extent::decode(Extent::schema(), &lie).unwrap_err().to_string();
        assert!(error.contains("allocate"), "{error}");
    }
}
