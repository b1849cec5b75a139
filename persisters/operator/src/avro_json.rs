//! Avro decoded, and as JSON in the forms that columns of JSON have: bytes in hexadecimal digits,
//! times and numbers that are not finite as strings.

use apache_avro::types::Value as Avro;
use apache_avro::util::max_allocation_bytes;
use apache_avro::{Schema, from_avro_datum};
use records::contract::LENGTH_MAX;
use serde_json::{Number, Value};
use std::fmt::Write as _;

/// Decodes a record by the reference decoder; what is left of `avro` is behind it.
pub(crate) fn decode(schema: &Schema, avro: &mut &[u8]) -> Result<Avro, apache_avro::Error> {
    max_allocation_bytes(LENGTH_MAX);
    from_avro_datum(schema, avro, None)
}

/// A value of any type.
pub(crate) fn json(value: &Avro) -> Value {
    match value {
        Avro::Null => Value::Null,
        Avro::Boolean(value) => (*value).into(),
        Avro::Int(value) | Avro::TimeMillis(value) => (*value).into(),
        Avro::Long(value) | Avro::TimeMicros(value) => (*value).into(),
        Avro::Float(value) => number(f64::from(*value)),
        Avro::Double(value) => number(*value),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => hex(bytes).into(),
        Avro::String(text) | Avro::Enum(_, text) => text.as_str().into(),
        Avro::Uuid(uuid) => uuid.to_string().into(),
        Avro::Union(_, inner) => json(inner),
        Avro::Array(values) => values.iter().map(json).collect(),
        Avro::Map(values) => values.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        Avro::Record(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), json(value))).collect()
        }
        Avro::Date(days) => days.to_string().into(),
        Avro::TimestampMillis(time)
        | Avro::TimestampMicros(time)
        | Avro::TimestampNanos(time)
        | Avro::LocalTimestampMillis(time)
        | Avro::LocalTimestampMicros(time)
        | Avro::LocalTimestampNanos(time) => time.to_string().into(),
        Avro::Decimal(decimal) => {
            let unscaled: Result<Vec<u8>, _> = decimal.try_into();
            unscaled.map_or(Value::Null, |bytes| hex(&bytes).into())
        }
        Avro::Duration(duration) => {
            let bytes: [u8; 12] = (*duration).into();
            hex(&bytes).into()
        }
        Avro::BigDecimal(decimal) => decimal.to_string().into(),
    }
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}
