//! What arbitrary bytes stand for: a schema, and a datum.

use crate::subject::Subject;
use apache_avro::Schema;
use apache_avro::schema::Name;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Every kind of attribute; what refers to itself; and fields in no usual order.
static SUBJECTS: LazyLock<[Subject; 3]> = LazyLock::new(|| {
    const SCHEMAS: [&str; 3] =
        [include_str!("scalars.avsc"), include_str!("nested.avsc"), include_str!("unusual.avsc")];
    SCHEMAS.map(|schema| Subject::parse(schema).unwrap())
});

/// How many bytes a schema is made of.
const SEED: usize = 24;

/// How deep types are nested in a schema that is made, and values in a datum.
const DEPTH_MAX: u32 = 3;

/// One that is plausible for as long as the test may live.
const VERSION: i64 = 1_700_000_000_000_000;

/// Lets both decoders read what the bytes stand for. The first one says which schema, and what the
/// others are: a datum, one without its first four fields, or chances by which a valid one is made.
pub fn check(input: &[u8]) {
    let Some((choice, mut rest)) = input.split_first() else { return };
    let made;
    let subject = if let Some(subject) = SUBJECTS.get(usize::from(choice & 3)) {
        subject
    } else {
        let Some((seed, datum)) = rest.split_at_checked(SEED) else { return };
        let Some(subject) = Subject::parse(&schema(&mut seed.iter().copied())) else { return };
        (made, rest) = (subject, datum);
        &made
    };
    drop(subject.check(&datum(subject, choice >> 2 & 3, rest)));
}

fn datum(subject: &Subject, form: u8, rest: &[u8]) -> Vec<u8> {
    match form {
        0 => rest.to_vec(),
        1 => [&envelope(), rest].concat(),
        _ => {
            let Schema::Record(record) = &subject.reference else { panic!("it is a record") };
            let mut chances = Chances(rest, HashMap::new());
            let mut datum = Vec::new();
            for field in &record.fields {
                match field.name.as_str() {
                    "source" | "native_id" => datum.extend(b"\x02s"),
                    "version" => long(VERSION, &mut datum),
                    _ => chances.write(&field.schema, &mut datum, 0),
                }
            }
            datum
        }
    }
}

/// Source, native id, version and no mask.
pub fn envelope() -> Vec<u8> {
    let mut envelope = b"\x02s\x02a".to_vec();
    long(VERSION, &mut envelope);
    envelope.push(0);
    envelope
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes by which values are chosen, and the schemas with names.
struct Chances<'a>(&'a [u8], HashMap<Name, Schema>);

impl Chances<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::from(self.next()) % count
    }

    /// Few bits or all of them.
    fn number(&mut self) -> i64 {
        let bytes = [(); 8].map(|()| self.next());
        i64::from_le_bytes(bytes) >> (8 * self.pick(8))
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Appends a valid value, but that numbers may be out of PostgreSQL's range.
    fn write(&mut self, schema: &Schema, out: &mut Vec<u8>, depth: u32) {
        match schema {
            Schema::Null => {}
            Schema::Boolean => out.push(self.next() & 1),
            Schema::Int | Schema::Date | Schema::TimeMillis => {
                long(i64::from(self.number() as i32), out);
            }
            Schema::Float => out.extend(self.bytes(4)),
            Schema::Double => out.extend(self.bytes(8)),
            Schema::Fixed(fixed) => out.extend(self.bytes(fixed.size)),
            Schema::Duration => out.extend(self.bytes(12)),
            Schema::String => self.text(out),
            Schema::Bytes => self.sized(out),
            Schema::Decimal(decimal) => match &*decimal.inner {
                Schema::Fixed(fixed) => out.extend(self.bytes(fixed.size)),
                _ => self.sized(out),
            },
            Schema::Enum(symbols) => long(self.pick(symbols.symbols.len()) as i64, out),
            Schema::Array(array) => self.blocks(&array.items, false, (out, depth)),
            Schema::Map(map) => self.blocks(&map.types, true, (out, depth)),
            Schema::Union(union) => {
                let last = union.variants().len() - 1;
                let branch = if depth > DEPTH_MAX { 0 } else { self.pick(last + 1) };
                long(branch as i64, out);
                self.write(&union.variants()[branch], out, depth + 1);
            }
            Schema::Record(record) => {
                self.1.insert(record.name.clone(), schema.clone());
                record.fields.iter().for_each(|field| self.write(&field.schema, out, depth + 1));
            }
            Schema::Ref { name } => {
                let schema = self.1.get(name).cloned().unwrap_or(Schema::Null);
                self.write(&schema, out, depth);
            }
            _ => long(self.number(), out),
        }
    }

    fn sized(&mut self, out: &mut Vec<u8>) {
        let count = self.pick(40);
        long(count as i64, out);
        out.extend(self.bytes(count));
    }

    /// Mostly letters; of each few one that needs care.
    fn text(&mut self, out: &mut Vec<u8>) {
        let count = self.pick(40);
        let text: String = (0..count)
            .map(|_| match self.next() {
                byte @ 0x20..=0x7f => char::from(byte),
                byte @ 0x80.. => char::from_u32(u32::from(byte) << 5).unwrap_or('\u{1f600}'),
                byte => char::from(b"0123456789abcdef-\"\\-,{} \n\t\x010123456"[usize::from(byte)]),
            })
            .collect();
        long(text.len() as i64, out);
        out.extend_from_slice(text.as_bytes());
    }

    /// One or two blocks, with and without their sizes.
    fn blocks(&mut self, items: &Schema, has_keys: bool, (out, depth): (&mut Vec<u8>, u32)) {
        let blocks = if depth > DEPTH_MAX { 0 } else { self.pick(3) };
        for _ in 0..blocks {
            let count = 1 + self.pick(3);
            let mut block = Vec::new();
            for _ in 0..count {
                if has_keys {
                    self.text(&mut block);
                }
                self.write(items, &mut block, depth + 1);
            }
            if self.next() & 1 == 0 {
                long(count as i64, out);
            } else {
                long(-(count as i64), out);
                long(block.len() as i64, out);
            }
            out.extend(block);
        }
        out.push(0);
    }
}

/// An entity type with some attributes. Without bytes left, types are the first of each list.
fn schema(seed: &mut dyn Iterator<Item = u8>) -> String {
    let mut fields = String::new();
    for number in 0..=seed.next().unwrap_or(0) % 6 {
        let (wrap, of) = (seed.next().unwrap_or(0) % 4, type_(seed, &format!("t{number}"), 0));
        let of = match wrap {
            0 => of,
            1 => format!(r#"["null",{of}]"#),
            2 => format!(r#"[{of},"null"]"#),
            _ => format!("[{of}]"),
        };
        fields += &format!(r#",{{"name":"a{number}","type":{of}}}"#);
    }
    format!(
        r#"{{"type":"record","name":"Made","fields":[{{"name":"source","type":"string"}},
        {{"name":"native_id","type":"string"}},{{"name":"version","type":"long"}},
        {{"name":"update_mask","type":["null",{{"type":"array","items":"string"}}]}}{fields}]}}"#
    )
}

const PLAIN: [&str; 8] = [
    r#""string""#,
    r#""boolean""#,
    r#""int""#,
    r#""long""#,
    r#""float""#,
    r#""double""#,
    r#""bytes""#,
    r#""null""#,
];

const LOGICAL: [(&str, &str); 12] = [
    ("string", "uuid"),
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
    ("bytes", r#"decimal","precision":30,"scale":4,"x":""#),
    ("bytes", r#"decimal","precision":9,"scale":0,"x":""#),
];

/// A type whose parts have names that begin with `name`.
fn type_(seed: &mut dyn Iterator<Item = u8>, name: &str, depth: u32) -> String {
    let choice = usize::from(seed.next().unwrap_or(0));
    let kinds = if depth < DEPTH_MAX { 8 } else { 4 };
    match choice % kinds {
        0 => PLAIN[choice / 8 % PLAIN.len()].to_owned(),
        1 => {
            let (of, logical) = LOGICAL[choice / 8 % LOGICAL.len()];
            format!(r#"{{"type":"{of}","logicalType":"{logical}"}}"#)
        }
        2 => format!(r#"{{"type":"enum","name":"{name}","symbols":["a","b","c"]}}"#),
        3 => format!(r#"{{"type":"fixed","name":"{name}","size":{}}}"#, choice / 8 % 18),
        4 => format!(r#"{{"type":"array","items":{}}}"#, type_(seed, name, depth + 1)),
        5 => format!(r#"{{"type":"map","values":{}}}"#, type_(seed, name, depth + 1)),
        6 => format!(r#"["null",{}]"#, type_(seed, name, depth + 1)),
        _ => {
            let field = |number| {
                let of = type_(seed, &format!("{name}_{number}"), depth + 1);
                format!(r#"{{"name":"f{number}","type":{of}}}"#)
            };
            let fields: Vec<String> = (0..choice / 8 % 4).map(field).collect();
            format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
        }
    }
}
