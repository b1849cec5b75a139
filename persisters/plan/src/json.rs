//! Avro values that have no column type of their own, as JSON.

use crate::read::{Fault, Reader};
use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};
use serde_json::{Map, Number, Value};
use std::collections::HashMap;

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

    pub(crate) fn read(&self, reader: &mut Reader<'_>) -> Result<Value, Fault> {
        self.value(&self.schema, reader, DEPTH_MAX)
    }

    fn value(&self, schema: &Schema, reader: &mut Reader<'_>, depth: u32) -> Result<Value, Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Invalid("a value is nested too deeply"))?;
        Ok(match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => reader.boolean()?.into(),
            Schema::Int => reader.int()?.into(),
            Schema::Long | Schema::TimeMicros => reader.long()?.into(),
            Schema::TimeMillis => reader.int()?.into(),
            Schema::Float => number(f64::from(reader.float()?)),
            Schema::Double => number(reader.double()?),
            Schema::String | Schema::Uuid => reader.text()?.into(),
            Schema::Bytes => hex(reader.bytes()?).into(),
            Schema::Fixed(fixed) => hex(reader.take(fixed.size)?).into(),
            Schema::Enum(symbols) => {
                symbols.symbols[reader.index(symbols.symbols.len())?].as_str().into()
            }
            Schema::Array(array) => self.array(&array.items, reader, depth)?,
            Schema::Map(map) => self.map(&map.types, reader, depth)?,
            Schema::Record(record) => self.record(record, reader, depth)?,
            Schema::Union(union) => {
                let branch = &union.variants()[reader.index(union.variants().len())?];
                self.value(branch, reader, depth)?
            }
            Schema::Ref { name } => {
                let schema = self.named.get(name).ok_or(Fault::Invalid("an unknown name"))?;
                self.value(schema, reader, depth)?
            }
            Schema::Date => reader.int()?.to_string().into(),
            _ => return Self::time(schema, reader),
        })
    }

    fn time(schema: &Schema, reader: &mut Reader<'_>) -> Result<Value, Fault> {
        match schema {
            Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Ok(reader.long()?.to_string().into()),
            Schema::Duration => Ok(hex(reader.take(12)?).into()),
            _ => Err(Fault::Invalid("this logical type has no form inside of JSON")),
        }
    }

    fn array(&self, items: &Schema, reader: &mut Reader<'_>, depth: u32) -> Result<Value, Fault> {
        let mut values = Vec::new();
        reader.blocks(|reader| {
            values.push(self.value(items, reader, depth)?);
            Ok(())
        })?;
        Ok(Value::Array(values))
    }

    fn map(&self, types: &Schema, reader: &mut Reader<'_>, depth: u32) -> Result<Value, Fault> {
        let mut values = Map::new();
        reader.blocks(|reader| {
            let key = reader.text()?.to_owned();
            values.insert(key, self.value(types, reader, depth)?);
            Ok(())
        })?;
        // Writers may give the same map in another order each time; a digest must not see that.
        values.sort_keys();
        Ok(Value::Object(values))
    }

    fn record(
        &self,
        record: &RecordSchema,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<Value, Fault> {
        let mut values = Map::new();
        for field in &record.fields {
            values.insert(field.name.clone(), self.value(&field.schema, reader, depth)?);
        }
        Ok(Value::Object(values))
    }
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

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
