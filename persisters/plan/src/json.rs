//! Avro values that have no column type of their own, as JSON.

use crate::read::{Fault, Reader};
use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io::Write as _;

/// Deeper values are refused: a recursive schema must not exhaust the stack.
const DEPTH_MAX: u32 = 64;

/// Reads values of one schema as JSON: non-finite numbers, bytes and times become strings.
#[derive(Debug, Clone)]
pub(crate) struct JsonReader {
    schema: Schema,
    named: HashMap<Name, Schema>,
}

impl JsonReader {
    /// A reader of `schema`; `root` holds the definitions of the names that it refers to.
    pub(crate) fn new(schema: &Schema, root: &Schema) -> Self {
        let mut named = HashMap::new();
        collect_named(root, &mut named);
        Self { schema: schema.clone(), named }
    }

    /// Appends one value as JSON.
    pub(crate) fn read(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.value(&self.schema, (reader, out), DEPTH_MAX)
    }

    fn value(
        &self,
        schema: &Schema,
        (reader, out): (&mut Reader<'_>, &mut Vec<u8>),
        depth: u32,
    ) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Invalid("a value is nested too deeply"))?;
        let before = reader.remaining();
        match schema {
            Schema::Array(array) => self.array(&array.items, (reader, out), depth)?,
            Schema::Map(map) => self.map(&map.types, (reader, out), depth)?,
            Schema::Record(record) => self.record(record, (reader, out), depth)?,
            Schema::Union(union) => {
                let branch = &union.variants()[reader.index(union.variants().len())?];
                self.value(branch, (reader, out), depth)?;
            }
            Schema::Ref { name } => {
                let schema = self.named.get(name).ok_or(Fault::Invalid("an unknown name"))?;
                self.value(schema, (reader, out), depth)?;
            }
            _ => leaf(schema, reader, out)?,
        }
        if reader.remaining() == before { reader.count_empty() } else { Ok(()) }
    }

    fn array(
        &self,
        items: &Schema,
        (reader, out): (&mut Reader<'_>, &mut Vec<u8>),
        depth: u32,
    ) -> Result<(), Fault> {
        out.push(b'[');
        let empty = out.len();
        reader.blocks(|reader| {
            separate(out, empty);
            self.value(items, (reader, out), depth)
        })?;
        out.push(b']');
        Ok(())
    }

    /// The keys are sorted, and of a key that is there twice the last counts: writers may give the
    /// same map in another order each time, and a digest must not see that.
    fn map(
        &self,
        types: &Schema,
        (reader, out): (&mut Reader<'_>, &mut Vec<u8>),
        depth: u32,
    ) -> Result<(), Fault> {
        let start = out.len();
        let mut entries = BTreeMap::new();
        reader.blocks(|reader| {
            let (key, entry) = (reader.text()?, out.len() - start);
            json(out, key);
            out.push(b':');
            self.value(types, (reader, out), depth)?;
            entries.insert(key, entry..out.len() - start);
            Ok(())
        })?;
        let unsorted = out.split_off(start);
        out.push(b'{');
        let empty = out.len();
        for entry in entries.into_values() {
            separate(out, empty);
            out.extend_from_slice(&unsorted[entry]);
        }
        out.push(b'}');
        Ok(())
    }

    fn record(
        &self,
        record: &RecordSchema,
        (reader, out): (&mut Reader<'_>, &mut Vec<u8>),
        depth: u32,
    ) -> Result<(), Fault> {
        out.push(b'{');
        let empty = out.len();
        for field in &record.fields {
            separate(out, empty);
            json(out, &field.name);
            out.push(b':');
            self.value(&field.schema, (reader, out), depth)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// A value that holds no other.
fn leaf(schema: &Schema, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match schema {
        Schema::Null => json(out, &()),
        Schema::Boolean => json(out, &reader.boolean()?),
        Schema::Int | Schema::TimeMillis => json(out, &reader.int()?),
        Schema::Long | Schema::TimeMicros => json(out, &reader.long()?),
        Schema::Float => number(out, f64::from(reader.float()?)),
        Schema::Double => number(out, reader.double()?),
        Schema::String | Schema::Uuid => json(out, reader.text()?),
        Schema::Bytes => hex(out, reader.bytes()?),
        Schema::Fixed(fixed) => hex(out, reader.take(fixed.size)?),
        Schema::Duration => hex(out, reader.take(12)?),
        Schema::Enum(symbols) => {
            json(out, &symbols.symbols[reader.index(symbols.symbols.len())?]);
        }
        Schema::Date => quoted(out, reader.int()?),
        Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => quoted(out, reader.long()?),
        _ => return Err(Fault::Invalid("this logical type has no form inside of JSON")),
    }
    Ok(())
}

/// A comma before all but the first.
fn separate(out: &mut Vec<u8>, empty: usize) {
    if out.len() > empty {
        out.push(b',');
    }
}

fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a Vec takes all");
}

fn quoted(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "\"{value}\"").expect("a Vec takes all");
}

fn number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() { json(out, &value) } else { quoted(out, value) }
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        write!(out, "{byte:02x}").expect("a Vec takes all");
    }
    out.push(b'"');
}

fn collect_named(schema: &Schema, named: &mut HashMap<Name, Schema>) {
    match schema {
        Schema::Record(record) => {
            named.insert(record.name.clone(), schema.clone());
            record.fields.iter().for_each(|field| collect_named(&field.schema, named));
        }
        Schema::Enum(symbols) => drop(named.insert(symbols.name.clone(), schema.clone())),
        Schema::Fixed(fixed) => drop(named.insert(fixed.name.clone(), schema.clone())),
        Schema::Array(array) => collect_named(&array.items, named),
        Schema::Map(map) => collect_named(&map.types, named),
        Schema::Union(union) => union.variants().iter().for_each(|s| collect_named(s, named)),
        _ => {}
    }
}
