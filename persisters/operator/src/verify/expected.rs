//! What a column must hold by a decoded record: as a text that PostgreSQL casts.

use crate::avro_json::{hex, json};
use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use records::{Attribute, ColumnType, EntityType, non_null};

/// A field of a decoded record.
pub(crate) fn field<'a>(record: &'a Avro, name: &str) -> Option<&'a Avro> {
    let Avro::Record(fields) = record else { return None };
    let (_, value) = fields.iter().find(|(field, _)| field == name)?;
    Some(inner(value))
}

fn inner(value: &Avro) -> &Avro {
    match value {
        Avro::Union(_, inner) => inner,
        value => value,
    }
}

/// The text of an attribute; `None` is null.
pub(crate) fn text(value: &Avro, scale: usize) -> Option<String> {
    Some(match inner(value) {
        Avro::Null => return None,
        Avro::Boolean(value) => value.to_string(),
        Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value) => value.to_string(),
        Avro::Long(value)
        | Avro::TimeMicros(value)
        | Avro::TimestampMicros(value)
        | Avro::LocalTimestampMillis(value)
        | Avro::LocalTimestampMicros(value)
        | Avro::LocalTimestampNanos(value) => value.to_string(),
        Avro::TimestampMillis(value) => value.saturating_mul(1_000).to_string(),
        Avro::TimestampNanos(value) => value.div_euclid(1_000).to_string(),
        Avro::Float(value) => f64::from(*value).to_string(),
        Avro::Double(value) => value.to_string(),
        Avro::String(value) | Avro::Enum(_, value) => value.clone(),
        Avro::Uuid(value) => value.to_string(),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => hex(bytes),
        Avro::Duration(duration) => hex(&<[u8; 12]>::from(*duration)),
        Avro::Decimal(decimal) => {
            let bytes: Vec<u8> = decimal.try_into().unwrap_or_default();
            let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
            let start = if negative { -1_i128 } else { 0 };
            let unscaled = bytes.iter().fold(start, |n, byte| (n << 8) | i128::from(*byte));
            format!("{unscaled}e-{scale}")
        }
        other => json(other).to_string(),
    })
}

/// The digits after a decimal's point; zero for what is no decimal.
pub(crate) fn scale(entity: &EntityType, attribute: &Attribute) -> usize {
    let Schema::Record(record) = entity.schema() else { return 0 };
    let field = record.fields.iter().find(|field| field.name == attribute.name.as_str());
    match field.and_then(|field| non_null(&field.schema)) {
        Some(Schema::Decimal(decimal)) => decimal.scale,
        _ => 0,
    }
}

/// The column and the text as values that can be compared.
pub(crate) fn comparable(column: ColumnType, name: &str, text: &str) -> (String, String) {
    let own = format!("t.\"{name}\"");
    match column {
        ColumnType::Text => (own, text.to_owned()),
        ColumnType::Bytea => (own, format!("decode({text}, 'hex')")),
        ColumnType::Timestamptz => {
            (format!("(extract(epoch FROM {own}) * 1000000)::bigint"), format!("{text}::bigint"))
        }
        ColumnType::Date => (format!("{own} - date '1970-01-01'"), format!("{text}::integer")),
        ColumnType::TextArray => (format!("to_jsonb({own})"), format!("{text}::jsonb")),
        column => (own, format!("{text}::{}", column.sql())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::Decimal;

    #[test]
    fn a_decimal_is_told_exactly() {
        let of = |bytes: &[u8]| text(&Avro::Decimal(Decimal::from(bytes)), 2).unwrap();
        assert_eq!([of(&[0xff, 0x38]), of(&[0, 200]), of(&[])], ["-200e-2", "200e-2", "0e-2"]);
    }
}
