//! From Avro's types to cells in PostgreSQL's binary form.

use crate::column::{LENGTH_BYTES, close, open, sized};
use crate::json::JsonReader;
use crate::read::{Fault, Reader, SHORT};
use apache_avro::Schema;
use std::io::Write as _;
use std::ops::Range;

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Days from the Unix epoch to PostgreSQL's.
const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// PostgreSQL's first and last moments (4713 BC and 294276 AD), in microseconds since its epoch.
const TIMESTAMP_RANGE: Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// PostgreSQL's first and last dates, in days since its epoch.
const DATE_RANGE: Range<i32> = -2_451_545..2_145_031_949;

/// The most digits after the decimal point that PostgreSQL keeps.
const SCALE_MAX: usize = 16_383;

/// The version of jsonb's binary form; the text follows.
const JSONB_VERSION: u8 = 1;

/// The largest jsonb that PostgreSQL keeps.
const JSONB_BYTES_MAX: usize = 0x0fff_ffff;

/// From which Avro type to which cell.
#[derive(Debug)]
pub(crate) enum Form {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Symbol(Box<[String]>),
    Bytes,
    Fixed(usize),
    /// Microseconds per unit, or units per microsecond if negative.
    Timestamp(i64),
    Date,
    Uuid,
    Built(Built),
}

/// What is built piece by piece, so that a cell's length is known behind it.
#[derive(Debug)]
pub(crate) enum Built {
    Decimal(usize, Option<usize>),
    Texts,
    Json(Box<JsonReader>),
}

impl Form {
    /// How values of `schema` are read; `root` holds the definitions of the names in it.
    pub(crate) fn of(schema: &Schema, root: &Schema) -> Self {
        match schema {
            Schema::Boolean => Self::Boolean,
            Schema::Int | Schema::TimeMillis => Self::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Self::Long,
            Schema::Float => Self::Float,
            Schema::Double => Self::Double,
            Schema::String => Self::Text,
            Schema::Enum(symbols) => Self::Symbol(symbols.symbols.as_slice().into()),
            Schema::Bytes => Self::Bytes,
            Schema::Fixed(fixed) => Self::Fixed(fixed.size),
            Schema::Duration => Self::Fixed(12),
            Schema::TimestampMillis => Self::Timestamp(1000),
            Schema::TimestampMicros => Self::Timestamp(1),
            Schema::TimestampNanos => Self::Timestamp(-1000),
            Schema::Date => Self::Date,
            Schema::Uuid => Self::Uuid,
            Schema::Decimal(decimal) => {
                let size = match decimal.inner.as_ref() {
                    Schema::Fixed(fixed) => Some(fixed.size),
                    _ => None,
                };
                Self::Built(Built::Decimal(decimal.scale, size))
            }
            Schema::Array(array) if *array.items == Schema::String => Self::Built(Built::Texts),
            other => Self::Built(Built::Json(Box::new(JsonReader::new(other, root)))),
        }
    }

    /// Reads one value and appends it as a cell behind its length.
    #[inline(always)]
    pub(crate) fn cell(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Boolean => sized(out, &[u8::from(reader.boolean()?)]),
            Self::Int => word(out, i64::from(reader.int()?).to_be_bytes()),
            Self::Long => word(out, reader.long()?.to_be_bytes()),
            Self::Float => word(out, f64::from(reader.float()?).to_be_bytes()),
            Self::Double => word(out, reader.double()?.to_be_bytes()),
            Self::Text => text(reader, out)?,
            Self::Symbol(symbols) => {
                sized(out, symbols[reader.index(symbols.len())?].as_bytes());
            }
            Self::Bytes => sized(out, reader.bytes()?),
            Self::Fixed(size) => sized(out, reader.take(*size)?),
            Self::Timestamp(scale) => word(out, timestamp(reader.long()?, *scale)?.to_be_bytes()),
            Self::Date => sized(out, &date(reader.int()?)?.to_be_bytes()),
            Self::Uuid => sized(out, &uuid(reader.bytes()?)?),
            Self::Built(built) => {
                let start = open(out);
                reader.elsewhere(|reader| built.append(reader, out))?;
                close(out, start);
            }
        }
        Ok(())
    }
}

impl Built {
    #[inline(never)]
    fn append(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Decimal(scale, size) => {
                let bytes = match size {
                    Some(size) => reader.take(*size)?,
                    None => reader.bytes()?,
                };
                decimal(bytes, *scale, out)
            }
            Self::Texts => texts(reader, out),
            Self::Json(json) => {
                let start = out.len();
                out.push(JSONB_VERSION);
                json.read(reader, out)?;
                if out.len() - start > JSONB_BYTES_MAX {
                    return Err(Fault::Invalid("PostgreSQL's jsonb has at most 256 MiB"));
                }
                Ok(())
            }
        }
    }
}

/// A short text is copied with what follows it, because that is a copy of a fixed length.
#[inline(always)]
fn text(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some((length, bytes)) = reader.short_text() else {
        sized(out, reader.text_bytes()?);
        return Ok(());
    };
    let mut cell = [0; LENGTH_BYTES + SHORT];
    cell[LENGTH_BYTES - 1] = length as u8;
    cell[LENGTH_BYTES..].copy_from_slice(bytes);
    let end = out.len() + LENGTH_BYTES + length;
    out.extend_from_slice(&cell);
    out.truncate(end);
    Ok(())
}

/// Appends a cell of eight bytes behind its length, at once.
fn word(out: &mut Vec<u8>, bytes: [u8; 8]) {
    let mut cell = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    cell[4..].copy_from_slice(&bytes);
    out.extend_from_slice(&cell);
}

fn timestamp(value: i64, scale: i64) -> Result<i64, Fault> {
    let micros = if scale < 0 { Some(value.div_euclid(-scale)) } else { value.checked_mul(scale) };
    micros
        .and_then(|micros| micros.checked_sub(POSTGRES_EPOCH_MICROS))
        .filter(|micros| TIMESTAMP_RANGE.contains(micros))
        .ok_or(Fault::Invalid("PostgreSQL's timestamps are from 4713 BC to 294276 AD"))
}

fn date(days: i32) -> Result<i32, Fault> {
    days.checked_sub(POSTGRES_EPOCH_DAYS)
        .filter(|days| DATE_RANGE.contains(days))
        .ok_or(Fault::Invalid("PostgreSQL's dates are from 4713 BC to 5874897 AD"))
}

const WRONG_UUID: Fault = Fault::Invalid("a uuid has 32 hexadecimal digits");

fn uuid(text: &[u8]) -> Result<[u8; 16], Fault> {
    let mut values = uuid_digits(text)?;
    values.iter_mut().for_each(|value| *value = hex_value(*value));
    if values.iter().fold(0, |all, value| all | value) > 15 {
        return Err(WRONG_UUID);
    }
    let mut uuid = [0; 16];
    for (byte, [high, low]) in uuid.iter_mut().zip(values.as_chunks().0) {
        *byte = high << 4 | low;
    }
    Ok(uuid)
}

/// What a byte is worth as a hexadecimal digit; more than 15: it is none. Without a table, so that
/// a processor does many at once.
const fn hex_value(byte: u8) -> u8 {
    let (digit, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
    if digit < 10 {
        digit
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

/// Dashes may be anywhere, but nearly always stand where they should.
fn uuid_digits(text: &[u8]) -> Result<[u8; 32], Fault> {
    const BETWEEN_DASHES: [Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];
    let mut digits = [0; 32];
    if text.len() == 36 && [8, 13, 18, 23].into_iter().all(|dash| text[dash] == b'-') {
        for (dashes, part) in BETWEEN_DASHES.into_iter().enumerate() {
            digits[part.start - dashes..part.end - dashes].copy_from_slice(&text[part]);
        }
        return Ok(digits);
    }
    let mut given = text.iter().filter(|byte| **byte != b'-');
    for digit in &mut digits {
        *digit = *given.next().ok_or(WRONG_UUID)?;
    }
    if given.next().is_some() { Err(WRONG_UUID) } else { Ok(digits) }
}

/// A two's complement number, big-endian, with the decimal point `scale` digits from the right.
fn decimal(bytes: &[u8], scale: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    if bytes.len() > 16 {
        return Err(Fault::Invalid("a decimal has more than 128 bits"));
    }
    if scale > SCALE_MAX {
        return Err(Fault::Invalid(
            "PostgreSQL's numeric has at most 16383 digits after its point",
        ));
    }
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let start = if negative { -1_i128 } else { 0 };
    let unscaled = bytes.iter().fold(start, |number, byte| (number << 8) | i128::from(*byte));
    let (sign, digits) = (if negative { "-" } else { "" }, unscaled.unsigned_abs());
    write!(out, "{sign}{digits:0>width$}", width = scale + 1).expect("a Vec takes all");
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
    Ok(())
}

/// PostgreSQL's text form of an array: every element quoted.
fn texts(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'{');
    let empty = out.len();
    reader.blocks(|reader| {
        if out.len() > empty {
            out.push(b',');
        }
        out.push(b'"');
        for byte in reader.text_bytes()? {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
        Ok(())
    })?;
    out.push(b'}');
    Ok(())
}
