//! A writer's schema compiled to a list of steps from Avro bytes to cells.

mod explain;

pub use explain::ExplainedField;

use crate::batch::{Batch, Kind, Layout, Record};
use crate::fold::Cell;
use crate::json::JsonReader;
use crate::read::{DecodeError, Fault, Reader};
use apache_avro::Schema;
use records::model::AttributeSet;
use records::{EntityType, NativeId, SourceName, Version, non_null};
use std::sync::Arc;

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Days from the Unix epoch to PostgreSQL's.
const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// PostgreSQL's first and last moments (4713 BC and 294276 AD), in microseconds since its epoch.
const TIMESTAMP_RANGE: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// PostgreSQL's first and last dates, in days since its epoch.
const DATE_RANGE: std::ops::Range<i32> = -2_451_545..2_145_031_949;

/// The most digits after the decimal point that PostgreSQL keeps.
const SCALE_MAX: usize = 16_383;

/// How to read the records that one schema id stands for.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
    attributes: Arc<AttributeSet>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Step {
    field: String,
    target: Target,
    /// Which branch of a union is null; `None`: the field is no union.
    null_branch: Option<usize>,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Source,
    NativeId,
    Version,
    Mask,
    /// Column of the table, and place among the schema's attributes.
    Attribute(usize, usize),
}

/// From which Avro type to which cell.
#[derive(Debug)]
enum Form {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Symbol(Vec<String>),
    Bytes,
    Fixed(usize),
    /// Microseconds per unit, or units per microsecond if negative.
    Timestamp(i64),
    Date,
    Uuid,
    Decimal(usize, Option<usize>),
    Texts,
    Json(JsonReader),
}

/// A record's envelope as it is read.
#[derive(Default)]
struct Envelope<'a> {
    source: &'a str,
    native_id: &'a str,
    version: i64,
    mask: Option<Vec<&'a str>>,
}

impl Plan {
    /// Compiles the schema with this id for a table that has all its attributes.
    ///
    /// # Errors
    /// The first attribute that the table lacks: the table must be widened first.
    pub fn compile(schema: i32, entity: &EntityType, layout: &Layout) -> Result<Self, String> {
        let Schema::Record(record) = entity.schema() else {
            return Err("the schema is not a record".to_owned());
        };
        let mut indexes = Vec::with_capacity(entity.attributes().len());
        for attribute in entity.attributes() {
            let name = attribute.name.as_str();
            indexes.push(layout.index_of(name).ok_or_else(|| name.to_owned())?);
        }
        indexes.sort_unstable();
        let step = |field: &apache_avro::schema::RecordField| Step {
            target: target(&field.name, layout, &indexes),
            null_branch: null_branch(&field.schema),
            form: form(non_null(&field.schema).unwrap_or(&field.schema), entity.schema()),
            field: field.name.clone(),
        };
        let steps = record.fields.iter().map(step).collect();
        let names = indexes.iter().map(|i| layout.attributes[*i].0.to_string()).collect();
        let attributes = Arc::new(AttributeSet { schema, indexes });
        Ok(Self { steps, attributes, names })
    }

    /// The attributes that a whole record of this schema touches.
    #[must_use]
    pub const fn attributes(&self) -> &Arc<AttributeSet> {
        &self.attributes
    }

    /// Decodes one record, without its frame, and appends it to the batch.
    ///
    /// # Errors
    /// [`DecodeError`]; the batch then has no trace of the record but cells that nothing shows.
    pub fn decode(
        &self,
        bytes: &[u8],
        origin: usize,
        batch: &mut Batch,
    ) -> Result<(), DecodeError> {
        let start = batch.values.len();
        let result = self
            .read(bytes, batch)
            .and_then(|envelope| self.record(&envelope, start, batch).map(|kind| (envelope, kind)));
        let (envelope, kind) = match result {
            Ok(read) => read,
            Err(error) => {
                batch.values.truncate(start);
                return Err(error);
            }
        };
        let version = Version::from_micros(envelope.version);
        batch.records.push(Record {
            source: SourceName::new(envelope.source)?,
            native_id: NativeId::new(envelope.native_id)?,
            version,
            kind,
            origin,
        });
        Ok(())
    }

    fn read<'a>(&self, bytes: &'a [u8], batch: &mut Batch) -> Result<Envelope<'a>, DecodeError> {
        let start = batch.values.len();
        batch.values.resize(start + self.attributes.indexes.len(), None);
        let mut reader = Reader::new(bytes);
        let mut envelope = Envelope::default();
        for step in &self.steps {
            step.run(&mut reader, &mut envelope, (batch, start)).map_err(|f| f.at(&step.field))?;
        }
        match reader.remaining() {
            0 => Ok(envelope),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// Checks the envelope and says what the record is; with a mask only its cells are kept.
    fn record(
        &self,
        envelope: &Envelope<'_>,
        start: usize,
        batch: &mut Batch,
    ) -> Result<Kind, DecodeError> {
        if !Version::from_micros(envelope.version).is_plausible(Version::now()) {
            return Err(DecodeError::ImplausibleVersion(envelope.version));
        }
        SourceName::new(envelope.source)?;
        NativeId::new(envelope.native_id)?;
        let Some(mask) = &envelope.mask else {
            return Ok(Kind::Whole(Arc::clone(&self.attributes), start));
        };
        let place = |name: &&str| self.names.iter().position(|known| known == name);
        if let Some(unknown) = mask.iter().find(|name| place(name).is_none()) {
            return Err(DecodeError::UnknownInMask((*unknown).to_owned()));
        }
        let first = batch.masked.len();
        for place in mask.iter().filter_map(place) {
            batch.masked.push((self.attributes.indexes[place], batch.values[start + place]));
        }
        batch.values.truncate(start);
        Ok(Kind::Partial(first, batch.masked.len()))
    }
}

impl Step {
    fn run<'a>(
        &self,
        reader: &mut Reader<'a>,
        envelope: &mut Envelope<'a>,
        (batch, start): (&mut Batch, usize),
    ) -> Result<(), Fault> {
        if let Some(null) = self.null_branch
            && reader.index(2)? == null
        {
            return Ok(());
        }
        match self.target {
            Target::Source => envelope.source = reader.text()?,
            Target::NativeId => envelope.native_id = reader.text()?,
            Target::Version => envelope.version = reader.long()?,
            Target::Mask => {
                let mut names = Vec::new();
                reader.blocks(|reader| {
                    names.push(reader.text()?);
                    Ok(())
                })?;
                envelope.mask = Some(names);
            }
            Target::Attribute(column, place) => {
                let number = batch.columns[column].push(|out| self.form.cell(reader, out))?;
                batch.values[start + place] = Some(Cell::Incoming(number));
            }
        }
        Ok(())
    }
}

impl Form {
    fn cell(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Boolean => out.push(u8::from(reader.boolean()?)),
            Self::Int => out.extend(i64::from(reader.int()?).to_be_bytes()),
            Self::Long => out.extend(reader.long()?.to_be_bytes()),
            Self::Float => out.extend(f64::from(reader.float()?).to_be_bytes()),
            Self::Double => out.extend(reader.double()?.to_be_bytes()),
            Self::Text => out.extend_from_slice(reader.text_bytes()?),
            Self::Symbol(symbols) => {
                out.extend_from_slice(symbols[reader.index(symbols.len())?].as_bytes());
            }
            Self::Bytes => out.extend_from_slice(reader.bytes()?),
            Self::Fixed(size) => out.extend_from_slice(reader.take(*size)?),
            Self::Timestamp(scale) => out.extend(timestamp(reader.long()?, *scale)?.to_be_bytes()),
            Self::Date => out.extend(date(reader.int()?)?.to_be_bytes()),
            Self::Uuid => out.extend(uuid(reader.text()?)?.to_be_bytes()),
            Self::Decimal(scale, size) => {
                let bytes = match size {
                    Some(size) => reader.take(*size)?,
                    None => reader.bytes()?,
                };
                out.extend(decimal(bytes, *scale)?.into_bytes());
            }
            Self::Texts => texts(reader, out)?,
            Self::Json(json) => {
                // The binary form of jsonb: its version, then the text.
                out.push(1);
                out.extend(json.read(reader)?.to_string().into_bytes());
            }
        }
        Ok(())
    }
}

fn target(field: &str, layout: &Layout, indexes: &[usize]) -> Target {
    match field {
        "source" => Target::Source,
        "native_id" => Target::NativeId,
        "version" => Target::Version,
        "update_mask" => Target::Mask,
        name => {
            let column = layout.index_of(name).expect("compile has looked up every attribute");
            let place = indexes.binary_search(&column).expect("compile has listed it");
            Target::Attribute(column, place)
        }
    }
}

fn null_branch(schema: &Schema) -> Option<usize> {
    let Schema::Union(union) = schema else { return None };
    match union.variants() {
        [_] => None,
        variants => variants.iter().position(|s| matches!(s, Schema::Null)),
    }
}

fn form(schema: &Schema, root: &Schema) -> Form {
    match schema {
        Schema::Boolean => Form::Boolean,
        Schema::Int | Schema::TimeMillis => Form::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Form::Long,
        Schema::Float => Form::Float,
        Schema::Double => Form::Double,
        Schema::String => Form::Text,
        Schema::Enum(symbols) => Form::Symbol(symbols.symbols.clone()),
        Schema::Bytes => Form::Bytes,
        Schema::Fixed(fixed) => Form::Fixed(fixed.size),
        Schema::Duration => Form::Fixed(12),
        Schema::TimestampMillis => Form::Timestamp(1000),
        Schema::TimestampMicros => Form::Timestamp(1),
        Schema::TimestampNanos => Form::Timestamp(-1000),
        Schema::Date => Form::Date,
        Schema::Uuid => Form::Uuid,
        Schema::Decimal(decimal) => {
            let size = match decimal.inner.as_ref() {
                Schema::Fixed(fixed) => Some(fixed.size),
                _ => None,
            };
            Form::Decimal(decimal.scale, size)
        }
        Schema::Array(array) if *array.items == Schema::String => Form::Texts,
        other => Form::Json(JsonReader::new(other, root)),
    }
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

fn uuid(text: &str) -> Result<u128, Fault> {
    const WRONG: Fault = Fault::Invalid("a uuid has 32 hexadecimal digits");
    let (mut number, mut digits) = (0, 0);
    for char in text.chars().filter(|char| *char != '-') {
        number = (number << 4) | u128::from(char.to_digit(16).ok_or(WRONG)?);
        digits += 1;
    }
    if digits == 32 { Ok(number) } else { Err(WRONG) }
}

/// A two's complement number, big-endian, with the decimal point `scale` digits from the right.
fn decimal(bytes: &[u8], scale: usize) -> Result<String, Fault> {
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
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Ok(format!("{sign}{whole}{point}{fraction}"))
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
        for byte in reader.text()?.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
        Ok(())
    })?;
    out.push(b'}');
    Ok(())
}
