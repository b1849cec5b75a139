//! Entity types: what an `.avsc` file says, checked and ready for encoders, decoders and tables.

use crate::names::{AttributeName, InvalidName, TypeName, type_name_of_record};
use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use serde_json::Value as Json;

/// The fields that every entity record has before its attributes.
pub const ENVELOPE: [&str; 4] = ["source", "native_id", "version", "update_mask"];

/// Names of columns that are ours in tables and views, and so can't be attributes.
pub const RESERVED: [&str; 16] = [
    "source",
    "native_id",
    "version",
    "update_mask",
    "observed_at",
    "first_seen_at",
    "changed_at",
    "gone_at",
    "existence_version",
    "alive",
    "floor_version",
    "base_version",
    "base_schema",
    "base_xid",
    "base_digest",
    "exceptions",
];

/// The view that is of no type.
const OWN_VIEW: &str = "dangling_references";

/// How the names of views and indexes end that are made beside a type's table and view.
const OWN_ENDINGS: [&str; 3] = ["_detail", "_tombstones", "_pkey"];

/// How a column holds an attribute. Integers and floats are always the wide ones, so that no
/// column ever has to change its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `boolean`
    Boolean,
    /// `bigint`: Avro int, long and logical types that PostgreSQL has no better place for.
    Bigint,
    /// `double precision`: Avro float and double.
    Double,
    /// `text`: Avro string and enum.
    Text,
    /// `bytea`: Avro bytes and fixed.
    Bytea,
    /// `timestamp with time zone`
    Timestamptz,
    /// `date`
    Date,
    /// `numeric`: Avro decimal.
    Numeric,
    /// `uuid`
    Uuid,
    /// `text[]`: Avro array of strings.
    TextArray,
    /// `jsonb`: every other array, maps and records.
    Jsonb,
}

impl ColumnType {
    /// Every type of column.
    pub const ALL: [Self; 11] = [
        Self::Boolean,
        Self::Bigint,
        Self::Double,
        Self::Text,
        Self::Bytea,
        Self::Timestamptz,
        Self::Date,
        Self::Numeric,
        Self::Uuid,
        Self::TextArray,
        Self::Jsonb,
    ];

    /// The name of the type in PostgreSQL, as `format_type` prints it.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bigint => "bigint",
            Self::Double => "double precision",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Timestamptz => "timestamp with time zone",
            Self::Date => "date",
            Self::Numeric => "numeric",
            Self::Uuid => "uuid",
            Self::TextArray => "text[]",
            Self::Jsonb => "jsonb",
        }
    }

    fn of(schema: &Schema) -> Self {
        match schema {
            Schema::Boolean => Self::Boolean,
            Schema::Float | Schema::Double => Self::Double,
            Schema::String | Schema::Enum(_) => Self::Text,
            Schema::Uuid => Self::Uuid,
            Schema::Bytes | Schema::Fixed(_) | Schema::Duration => Self::Bytea,
            Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos => {
                Self::Timestamptz
            }
            Schema::Date => Self::Date,
            Schema::Decimal(_) => Self::Numeric,
            Schema::Array(items) if *items.items == Schema::String => Self::TextArray,
            Schema::Int
            | Schema::Long
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Self::Bigint,
            _ => Self::Jsonb,
        }
    }
}

/// One attribute of an entity type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, also that of its column.
    pub name: AttributeName,
    /// Its column's type.
    pub column: ColumnType,
    /// The entity types whose native ids it holds.
    pub references: Vec<TypeName>,
    /// What the schema says of it, for the column's comment.
    pub doc: Option<String>,
}

/// An entity type as one version of its schema describes it.
#[derive(Debug, Clone)]
pub struct EntityType {
    name: TypeName,
    subject: String,
    attributes: Vec<Attribute>,
    extends: Option<TypeName>,
    schema: Schema,
    json: String,
}

/// Why a schema is no entity type. Every message names the schema's place and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not an Avro schema.
    #[error("not a valid Avro schema: {0}")]
    Avro(String),
    /// Not a record.
    #[error("an entity type is an Avro record; this schema is not a record")]
    NotARecord,
    /// A field of the envelope is missing or has another type.
    #[error("record {record}: field {field:?} must be {wanted}; every entity record has it")]
    Envelope {
        /// The record's full name.
        record: String,
        /// The field.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A name breaks its rule.
    #[error("record {record}: {reason}")]
    Name {
        /// The record's full name.
        record: String,
        /// The rule.
        reason: InvalidName,
    },
    /// A name that our own views and indexes have.
    #[error(
        "record {record}: {name:?} is the name of a view or an index of Tributary, or of one that \
             another type would have; rename the record"
    )]
    Taken {
        /// The record's full name.
        record: String,
        /// The type's name.
        name: TypeName,
    },
    /// A name that our own columns have.
    #[error(
        "record {record}: attribute {attribute:?} is the name of a column of Tributary; rename it"
    )]
    Reserved {
        /// The record's full name.
        record: String,
        /// The attribute.
        attribute: String,
    },
    /// A union that is not null and one type.
    #[error(
        "record {record}: attribute {attribute:?} is a union of several types; \
             only [\"null\", T] has a column"
    )]
    Union {
        /// The record's full name.
        record: String,
        /// The attribute.
        attribute: String,
    },
    /// A property in a form that is not understood.
    #[error("record {record}: property {property:?} must be {wanted}")]
    Property {
        /// The record's full name.
        record: String,
        /// The property.
        property: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl EntityType {
    /// Parses one `.avsc`.
    ///
    /// # Errors
    /// [`SchemaError`], which names the field and the rule.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        let schema = Schema::parse_str(json).map_err(|e| SchemaError::Avro(e.to_string()))?;
        Self::of_schema(schema, json)
    }

    /// The entity type that a parsed schema describes; `json` is its source.
    ///
    /// # Errors
    /// [`SchemaError`], which names the field and the rule.
    pub fn of_schema(schema: Schema, json: &str) -> Result<Self, SchemaError> {
        let Schema::Record(record) = &schema else { return Err(SchemaError::NotARecord) };
        let subject = record.name.fullname(None);
        let invalid = |reason| SchemaError::Name { record: subject.clone(), reason };
        let name = type_name_of_record(&record.name.name).map_err(invalid)?;
        if name.as_str() == OWN_VIEW || OWN_ENDINGS.iter().any(|end| name.as_str().ends_with(end)) {
            return Err(SchemaError::Taken { record: subject, name });
        }
        check_envelope(&subject, record)?;
        let attributes = record
            .fields
            .iter()
            .filter(|field| !ENVELOPE.contains(&field.name.as_str()))
            .map(|field| attribute(&subject, field))
            .collect::<Result<_, _>>()?;
        let extends = match record.attributes.get("tributary.extends") {
            None => None,
            Some(Json::String(of)) => Some(TypeName::new(of).map_err(invalid)?),
            Some(_) => return Err(property(&subject, "tributary.extends", "a type's name")),
        };
        Ok(Self { name, subject, attributes, extends, json: json.to_owned(), schema })
    }

    /// The type's name: also that of its table and view.
    #[must_use]
    pub const fn name(&self) -> &TypeName {
        &self.name
    }

    /// The record's full name: also the registry's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The attributes in the schema's order, the envelope left out.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The type whose view shows these attributes too.
    #[must_use]
    pub const fn extends(&self) -> Option<&TypeName> {
        self.extends.as_ref()
    }

    /// The schema, parsed.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The schema's source.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// The type inside `["null", T]` or `[T, "null"]`, or the type itself; `None` for wider unions.
#[must_use]
pub fn non_null(schema: &Schema) -> Option<&Schema> {
    let Schema::Union(union) = schema else { return Some(schema) };
    match union.variants() {
        [Schema::Null, inner] | [inner, Schema::Null] | [inner] => Some(inner),
        _ => None,
    }
}

/// A field, what it must be, and whether a schema is that.
type Rule = (&'static str, &'static str, fn(&Schema) -> bool);

fn check_envelope(record: &str, schema: &RecordSchema) -> Result<(), SchemaError> {
    let rules: [Rule; 4] = [
        ("source", "a string", |s| *s == Schema::String),
        ("native_id", "a string", |s| *s == Schema::String),
        ("version", "a long", |s| matches!(s, Schema::Long | Schema::TimestampMicros)),
        ("update_mask", "[\"null\", {\"type\": \"array\", \"items\": \"string\"}]", |s| {
            matches!(s, Schema::Union(_))
                && non_null(s).is_some_and(|s| ColumnType::of(s) == ColumnType::TextArray)
        }),
    ];
    for (field, wanted, valid) in rules {
        let found = schema.fields.iter().find(|f| f.name == field);
        if !found.is_some_and(|f| valid(&f.schema)) {
            return Err(SchemaError::Envelope { record: record.to_owned(), field, wanted });
        }
    }
    Ok(())
}

fn attribute(record: &str, field: &RecordField) -> Result<Attribute, SchemaError> {
    let invalid = |reason| SchemaError::Name { record: record.to_owned(), reason };
    if RESERVED.contains(&field.name.as_str()) {
        return Err(SchemaError::Reserved {
            record: record.to_owned(),
            attribute: field.name.clone(),
        });
    }
    let inner = non_null(&field.schema).ok_or_else(|| SchemaError::Union {
        record: record.to_owned(),
        attribute: field.name.clone(),
    })?;
    Ok(Attribute {
        name: AttributeName::new(&field.name).map_err(invalid)?,
        column: ColumnType::of(inner),
        references: references(record, field)?,
        doc: field.doc.clone(),
    })
}

fn references(record: &str, field: &RecordField) -> Result<Vec<TypeName>, SchemaError> {
    const PROPERTY: &str = "tributary.references";
    let wrong = || property(record, PROPERTY, "a type's name or a list of them");
    let names = match field.custom_attributes.get(PROPERTY) {
        None => return Ok(Vec::new()),
        Some(Json::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
    };
    names
        .iter()
        .map(|name| TypeName::new(name.as_str().ok_or_else(wrong)?).map_err(|_| wrong()))
        .collect()
}

fn property(record: &str, property: &'static str, wanted: &'static str) -> SchemaError {
    SchemaError::Property { record: record.to_owned(), property, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(attributes: &str) -> Result<EntityType, SchemaError> {
        EntityType::parse(&format!(
            r#"{{"type":"record","name":"VirtualMachine","namespace":"tributary.inventory",
            "fields":[
            {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
            {{"name":"version","type":"long"}},
            {{"name":"update_mask","type":["null",{{"type":"array","items":"string"}}],
              "default":null}}
            {attributes}]}}"#
        ))
    }

    #[test]
    fn attributes_know_their_columns_and_references() {
        let vm = vm(r#",{"name":"host_ref","type":["null","string"],"default":null,
              "tributary.references":"host"},
            {"name":"boot_time","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
            {"name":"ips","type":["null",{"type":"array","items":"string"}]},
            {"name":"tags","type":["null",{"type":"map","values":"string"}]}"#)
        .unwrap();
        assert_eq!(vm.name().as_str(), "virtual_machine");
        assert_eq!(vm.subject(), "tributary.inventory.VirtualMachine");
        let columns: Vec<_> = vm.attributes().iter().map(|a| a.column.sql()).collect();
        assert_eq!(columns, ["text", "timestamp with time zone", "text[]", "jsonb"]);
        assert_eq!(vm.attributes()[0].references[0].as_str(), "host");
    }

    #[test]
    fn what_has_no_table_is_refused_by_name() {
        let reserved = vm(r#",{"name":"changed_at","type":"string"}"#).unwrap_err();
        assert!(reserved.to_string().contains("changed_at"), "{reserved}");
        let union = vm(r#",{"name":"a","type":["null","string","long"]}"#).unwrap_err();
        assert!(union.to_string().contains("union"), "{union}");
        let envelope = EntityType::parse(r#"{"type":"record","name":"X","fields":[]}"#);
        assert!(matches!(envelope, Err(SchemaError::Envelope { field: "source", .. })));
    }

    #[test]
    fn names_of_our_own_views_and_indexes_are_no_types() {
        for record in ["DanglingReferences", "HostDetail", "host_tombstones", "HostPkey"] {
            let record = format!(r#"{{"type":"record","name":"{record}","fields":[]}}"#);
            let taken = EntityType::parse(&record).unwrap_err();
            assert!(matches!(taken, SchemaError::Taken { .. }), "{taken}");
        }
    }
}
