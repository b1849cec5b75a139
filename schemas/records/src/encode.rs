//! Avro binary of entities, written straight from values by the schema's order of fields.

use crate::{ENVELOPE, EntityType, NativeId, SourceName, Value, Version, non_null};
use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema};
use std::collections::BTreeMap;

/// Why a value can't be written as its attribute's type.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The value has another type than the attribute.
    #[error("{entity_type}: attribute {attribute:?} can't hold {value:?}")]
    Type {
        /// The entity type.
        entity_type: String,
        /// The attribute.
        attribute: String,
        /// What was given.
        value: Value,
    },
    /// The type has no such attribute.
    #[error("{entity_type}: there is no attribute {attribute:?} in the schema")]
    Unknown {
        /// The entity type.
        entity_type: String,
        /// The attribute.
        attribute: String,
    },
}

/// An entity ready to be written: whole, or only the attributes that are given.
#[derive(Debug, Clone, Copy)]
pub struct Upsert<'a> {
    /// The source.
    pub source: &'a SourceName,
    /// The id.
    pub native_id: &'a NativeId,
    /// The version.
    pub version: Version,
    /// Whether only the given attributes are touched (they become the update mask).
    pub partial: bool,
    /// Attribute names and values.
    pub attributes: &'a [(&'static str, Value)],
}

/// Writes entities of one type.
#[derive(Debug)]
pub struct Encoder {
    entity_type: EntityType,
}

/// A value that does not fit its schema.
struct Mismatch;

impl Encoder {
    /// An encoder of the type's records.
    #[must_use]
    pub const fn new(entity_type: EntityType) -> Self {
        Self { entity_type }
    }

    /// The type whose records it writes.
    #[must_use]
    pub const fn entity_type(&self) -> &EntityType {
        &self.entity_type
    }

    /// Appends the Avro binary of `upsert` to `out`. On an error `out` is as before.
    ///
    /// # Errors
    /// [`EncodeError`], which names the attribute.
    pub fn encode(&self, upsert: &Upsert<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Schema::Record(record) = self.entity_type.schema() else {
            unreachable!("an entity type is a record")
        };
        self.check_names(record, upsert)?;
        let start = out.len();
        for field in &record.fields {
            if self.encode_field(field, upsert, out).is_err() {
                out.truncate(start);
                return Err(self.mismatch(&field.name, upsert));
            }
        }
        Ok(())
    }

    fn encode_field(
        &self,
        field: &RecordField,
        upsert: &Upsert<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        match field.name.as_str() {
            "source" => write_bytes(upsert.source.as_str().as_bytes(), out),
            "native_id" => write_bytes(upsert.native_id.as_str().as_bytes(), out),
            "version" => write_long(upsert.version.micros(), out),
            "update_mask" if !upsert.partial => return write(&Value::Null, &field.schema, out),
            "update_mask" => {
                let names = upsert.attributes.iter().map(|(name, _)| Value::from(*name));
                return write(&Value::Array(names.collect()), &field.schema, out);
            }
            name => {
                let given = upsert.attributes.iter().find(|(given, _)| *given == name);
                return write(given.map_or(&Value::Null, |(_, value)| value), &field.schema, out);
            }
        }
        Ok(())
    }

    fn check_names(&self, record: &RecordSchema, upsert: &Upsert<'_>) -> Result<(), EncodeError> {
        let known = |name: &str| record.lookup.contains_key(name) && !ENVELOPE.contains(&name);
        match upsert.attributes.iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(EncodeError::Unknown {
                entity_type: self.entity_type.name().to_string(),
                attribute: (*name).to_owned(),
            }),
        }
    }

    fn mismatch(&self, attribute: &str, upsert: &Upsert<'_>) -> EncodeError {
        let given = upsert.attributes.iter().find(|(name, _)| *name == attribute);
        EncodeError::Type {
            entity_type: self.entity_type.name().to_string(),
            attribute: attribute.to_owned(),
            value: given.map_or(Value::Null, |(_, value)| value.clone()),
        }
    }
}

fn write(value: &Value, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    if let Schema::Union(union) = schema {
        let variants = union.variants();
        let null = matches!(value, Value::Null);
        let index =
            variants.iter().position(|s| matches!(s, Schema::Null) == null).ok_or(Mismatch)?;
        write_long(i64::try_from(index).map_err(|_| Mismatch)?, out);
        return if null { Ok(()) } else { write(value, non_null(schema).ok_or(Mismatch)?, out) };
    }
    match (value, schema) {
        (Value::Boolean(value), Schema::Boolean) => out.push(u8::from(*value)),
        (Value::Long(value), Schema::Int | Schema::Date | Schema::TimeMillis) => {
            write_long(i64::from(i32::try_from(*value).map_err(|_| Mismatch)?), out);
        }
        (Value::Long(value), Schema::Long | Schema::TimeMicros) => write_long(*value, out),
        (Value::Timestamp(micros), Schema::TimestampMicros) => write_long(*micros, out),
        (Value::Timestamp(micros), Schema::TimestampMillis) => {
            write_long(micros.div_euclid(1000), out);
        }
        (Value::Double(value), Schema::Double) => out.extend(value.to_le_bytes()),
        #[expect(clippy::cast_possible_truncation, reason = "the schema asks for a float")]
        (Value::Double(value), Schema::Float) => out.extend((*value as f32).to_le_bytes()),
        (Value::String(value), Schema::String | Schema::Uuid) => write_bytes(value.as_bytes(), out),
        (Value::String(value), Schema::Enum(symbols)) => write_symbol(value, symbols, out)?,
        (Value::Bytes(value), Schema::Bytes) => write_bytes(value, out),
        (Value::Array(values), Schema::Array(array)) => write_array(values, &array.items, out)?,
        (Value::Map(values), Schema::Map(map)) => write_map(values, &map.types, out)?,
        _ => return Err(Mismatch),
    }
    Ok(())
}

fn write_symbol(value: &str, schema: &EnumSchema, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let index = schema.symbols.iter().position(|s| s == value).ok_or(Mismatch)?;
    write_long(i64::try_from(index).map_err(|_| Mismatch)?, out);
    Ok(())
}

fn write_array(values: &[Value], items: &Schema, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    if !values.is_empty() {
        write_length(values.len(), out);
        for value in values {
            write(value, items, out)?;
        }
    }
    out.push(0);
    Ok(())
}

fn write_map(
    values: &BTreeMap<String, Value>,
    types: &Schema,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    if !values.is_empty() {
        write_length(values.len(), out);
        for (key, value) in values {
            write_bytes(key.as_bytes(), out);
            write(value, types, out)?;
        }
    }
    out.push(0);
    Ok(())
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    write_long(i64::try_from(length).expect("memory is smaller than 2^63"), out);
}

/// Avro's long: zig-zag, then seven bits a byte, the lowest first.
fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
