//! What apache-avro makes of bytes, and what PostgreSQL must get of that.

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum};
use records::{NativeId, SourceName, Version, non_null};
use serde_json::{Map, Number, Value as Json};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// A record as it must be decoded.
pub struct Expected {
    pub source: String,
    pub native_id: String,
    pub version: i64,
    pub mask: Option<Vec<String>>,
    pub cells: BTreeMap<String, Cell>,
}

/// What a cell must be.
#[derive(Debug)]
pub enum Cell {
    Null,
    Bytes(Vec<u8>),
    /// Behind the version of jsonb.
    Json(Json),
}

/// Bytes, and whether more of them were wanted: apache-avro then makes nulls of what is missing.
struct Input<'a> {
    rest: &'a [u8],
    has_ended: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest.read(buffer)?;
        self.has_ended |= read < buffer.len();
        Ok(read)
    }
}

/// `None`: the bytes must be refused. The reference's schema differs from the real one in that a
/// UUID is a text.
pub fn of(reference: &Schema, schema: &Schema, datum: &[u8]) -> Option<Expected> {
    apache_avro::util::max_allocation_bytes(16 << 10);
    let mut input = Input { rest: datum, has_ended: false };
    let value = from_avro_datum(reference, &mut input, None).ok()?;
    let Value::Record(fields) = value else { panic!("a record is one") };
    if input.has_ended || !input.rest.is_empty() {
        return None;
    }
    let Schema::Record(record) = schema else { panic!("an entity type is a record") };
    let mut expected = Expected {
        source: String::new(),
        native_id: String::new(),
        version: 0,
        mask: None,
        cells: BTreeMap::new(),
    };
    for ((name, value), field) in fields.into_iter().zip(&record.fields) {
        match (name.as_str(), inside(value)) {
            ("source", Value::String(text)) => expected.source = text,
            ("native_id", Value::String(text)) => expected.native_id = text,
            ("version", Value::Long(version) | Value::TimestampMicros(version)) => {
                expected.version = version
            }
            ("update_mask", Value::Null) => {}
            ("update_mask", Value::Array(names)) => {
                expected.mask = Some(names.iter().map(text).collect::<Option<_>>()?);
            }
            (_, value) => drop(expected.cells.insert(name, cell(&value, &field.schema)?)),
        }
    }
    expected.is_valid().then_some(expected)
}

impl Expected {
    fn is_valid(&self) -> bool {
        let mut mask = self.mask.iter().flatten();
        SourceName::new(&self.source).is_ok()
            && NativeId::new(&self.native_id).is_ok()
            && Version::from_micros(self.version).is_plausible(Version::now())
            && mask.all(|name| self.cells.contains_key(name))
    }
}

impl Cell {
    pub fn assert_is(&self, found: Option<&[u8]>, name: &str) {
        match (self, found) {
            (Self::Null, None) => {}
            (Self::Bytes(bytes), Some(found)) => assert_eq!(bytes, found, "{name}"),
            (Self::Json(json), Some([1, found @ ..])) => {
                // Both are read, because not every number that is printed is read as it was.
                let read = |text: &[u8]| serde_json::from_slice::<Json>(text).unwrap();
                assert_eq!(read(json.to_string().as_bytes()), read(found), "{name}");
            }
            (wanted, found) => panic!("{name}: {found:?} instead of {wanted:?}"),
        }
    }
}

fn inside(value: Value) -> Value {
    if let Value::Union(_, inside) = value { *inside } else { value }
}

fn text(value: &Value) -> Option<String> {
    let Value::String(text) = value else { panic!("{value:?} is no text") };
    (!text.contains('\0')).then(|| text.clone())
}

fn cell(value: &Value, schema: &Schema) -> Option<Cell> {
    let is_union = matches!(schema, Schema::Union(_));
    let bytes = match (value, non_null(schema).unwrap_or(schema)) {
        (Value::Null, _) if is_union => return Some(Cell::Null),
        (value, Schema::Ref { .. }) => return json(value).map(Cell::Json),
        (Value::String(text), Schema::Uuid) => uuid(text)?.to_be_bytes().to_vec(),
        (Value::Decimal(decimal), Schema::Decimal(of)) => {
            let bytes: Vec<u8> = decimal.clone().try_into().unwrap_or_default();
            decimal_text(&bytes, of.scale)?.into_bytes()
        }
        (Value::Array(items), Schema::Array(array)) if *array.items == Schema::String => {
            let items: Option<Vec<_>> =
                items.iter().map(|item| Some(quoted(&text(item)?))).collect();
            format!("{{{}}}", items?.join(",")).into_bytes()
        }
        (Value::Boolean(value), _) => vec![u8::from(*value)],
        (Value::Int(value) | Value::TimeMillis(value), _) => {
            i64::from(*value).to_be_bytes().to_vec()
        }
        (
            Value::Long(value)
            | Value::TimeMicros(value)
            | Value::LocalTimestampMillis(value)
            | Value::LocalTimestampMicros(value)
            | Value::LocalTimestampNanos(value),
            _,
        ) => value.to_be_bytes().to_vec(),
        (Value::Float(value), _) => f64::from(*value).to_be_bytes().to_vec(),
        (Value::Double(value), _) => value.to_be_bytes().to_vec(),
        (Value::String(_), _) => text(value)?.into_bytes(),
        (Value::Enum(_, symbol), _) => symbol.clone().into_bytes(),
        (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => bytes.clone(),
        (Value::Duration(duration), _) => <[u8; 12]>::from(*duration).to_vec(),
        (Value::TimestampMillis(value), _) => timestamp(i128::from(*value) * 1000)?,
        (Value::TimestampMicros(value), _) => timestamp(i128::from(*value))?,
        (Value::TimestampNanos(value), _) => timestamp(i128::from(*value).div_euclid(1000))?,
        (Value::Date(days), _) => date(i64::from(*days))?,
        _ => return json(value).map(Cell::Json),
    };
    Some(Cell::Bytes(bytes))
}

/// From 4713 BC to 294276 AD, as PostgreSQL's documentation says; from the year 2000 on.
fn timestamp(micros: i128) -> Option<Vec<u8>> {
    const DAY: i128 = 86_400_000_000;
    let micros = micros - 10_957 * DAY;
    let is_valid = (-2_451_545 * DAY..106_751_983 * DAY).contains(&micros);
    is_valid.then(|| i64::try_from(micros).unwrap().to_be_bytes().to_vec())
}

fn date(days: i64) -> Option<Vec<u8>> {
    let days = days - 10_957;
    let is_valid = (-2_451_545..2_145_031_949).contains(&days);
    is_valid.then(|| i32::try_from(days).unwrap().to_be_bytes().to_vec())
}

fn uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|char| *char != '-').collect();
    let is_valid = digits.len() == 32 && digits.chars().all(|char| char.is_ascii_hexdigit());
    is_valid.then(|| u128::from_str_radix(&digits, 16).unwrap())
}

fn decimal_text(bytes: &[u8], scale: usize) -> Option<String> {
    let mut wide = [if bytes.first().is_some_and(|byte| *byte > 0x7f) { 0xff } else { 0 }; 16];
    wide[16_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    let number = i128::from_be_bytes(wide);
    let sign = if number < 0 { "-" } else { "" };
    let unit = 10_u128.pow(u32::try_from(scale).unwrap());
    let (whole, rest) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
    Some(match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:0scale$}"),
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Int(value) | Value::TimeMillis(value) => (*value).into(),
        Value::Long(value) | Value::TimeMicros(value) => (*value).into(),
        Value::Float(value) => number(f64::from(*value)),
        Value::Double(value) => number(*value),
        Value::String(_) => text(value)?.into(),
        Value::Enum(_, symbol) => symbol.clone().into(),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => hex(bytes),
        Value::Duration(duration) => hex(&<[u8; 12]>::from(*duration)),
        Value::Date(value) => value.to_string().into(),
        Value::TimestampMillis(value)
        | Value::TimestampMicros(value)
        | Value::TimestampNanos(value)
        | Value::LocalTimestampMillis(value)
        | Value::LocalTimestampMicros(value)
        | Value::LocalTimestampNanos(value) => value.to_string().into(),
        Value::Union(_, inside) => json(inside)?,
        Value::Array(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entry = |(key, value): (&String, _)| {
                Some((text(&Value::String(key.clone()))?, json(value)?))
            };
            Json::Object(entries.iter().map(entry).collect::<Option<Map<_, _>>>()?)
        }
        Value::Record(fields) => {
            let entry = |(name, value): &(String, _)| Some((name.clone(), json(value)?));
            Json::Object(fields.iter().map(entry).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

fn number(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
}

fn hex(bytes: &[u8]) -> Json {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
