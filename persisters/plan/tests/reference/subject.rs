//! The decoder beside apache-avro: of any bytes under any schema they say the same.

use crate::expected::{self, Cell, Expected};
use apache_avro::Schema;
use plan::{Batch, DecodeError, Kind, Layout, Plan, Writes, fold};
use records::{EntityType, Version};
use std::sync::Arc;

/// What the decoder refuses and apache-avro does not: it drops bits, and has other limits.
const STRICTER: [&str; 3] =
    ["a long has at most 64 bits", "nested too deeply", "more than 10,000 values without bytes"];

/// What the decoder refuses in an entry of a map that a later one of the same key replaces:
/// apache-avro does not show it.
const IN_REPLACED_ENTRIES: [&str; 2] = ["can't hold a NUL", "has no form inside of JSON"];

/// The memory that a batch of one record may hold: so much, and so many bytes for each of the
/// record's. Each byte may be a field of a record in JSON, with its name.
const BYTES_MAX: usize = 512 << 10;
const BYTES_PER_BYTE_MAX: usize = 128;

/// A schema, and what both decoders need to read by it.
pub struct Subject {
    /// As the reference reads it: it knows no UUIDs, which it takes in forms of its own.
    pub reference: Schema,
    schema: Schema,
    has_maps: bool,
    plan: Plan,
    layout: Arc<Layout>,
}

impl Subject {
    /// `None`: the schema is no entity type.
    pub fn parse(json: &str) -> Option<Self> {
        let entity = EntityType::parse(json).ok()?;
        let attributes = entity.attributes().iter().map(|a| (a.name.clone(), a.column)).collect();
        let layout = Arc::new(Layout { entity_type: entity.name().clone(), attributes });
        let plan = Plan::compile(7, &entity, &layout).unwrap();
        let reference = Schema::parse_str(&json.replace(r#""uuid""#, r#""text of a uuid""#));
        let (reference, schema) = (reference.unwrap(), entity.schema().clone());
        Some(Self { reference, schema, has_maps: json.contains(r#""map""#), plan, layout })
    }

    /// What ours says; panics if the decoders differ.
    pub fn check(&self, datum: &[u8]) -> Result<(), DecodeError> {
        let (decoded, batch) = self.decode(datum);
        match (&decoded, expected::of(&self.reference, &self.schema, datum)) {
            (Ok(()), Some(expected)) => self.compare(&batch, &expected),
            (Ok(()), None) => panic!("only apache-avro refuses {datum:?}"),
            (Err(error), expected) => {
                assert!(batch.records().is_empty(), "a refused record is none");
                let is_known = expected.is_none() || self.is_stricter(error);
                assert!(is_known, "only ours refuses: {error}");
            }
        }
        decoded
    }

    /// Lets ours decode; panics if it needs too much memory.
    pub fn decode(&self, datum: &[u8]) -> (Result<(), DecodeError>, Batch) {
        let mut batch = Batch::new(Arc::clone(&self.layout));
        let decoded = self.plan.decode(datum, 0, &mut batch);
        let bytes_max = BYTES_MAX + BYTES_PER_BYTE_MAX * datum.len();
        assert!(batch.capacity() <= bytes_max, "{} of {} bytes", batch.capacity(), bytes_max);
        (decoded, batch)
    }

    fn compare(&self, batch: &Batch, expected: &Expected) {
        let [record] = batch.records() else { panic!("one record is one") };
        assert_eq!(batch.key(0), (expected.source.as_str(), expected.native_id.as_str()));
        assert_eq!(record.version.micros(), expected.version);
        match (&record.kind, &expected.mask) {
            (Kind::Whole(set, _), None) => assert_eq!(set.indexes.len(), expected.cells.len()),
            (Kind::Partial(start, end), Some(mask)) => assert_eq!(end - start, mask.len()),
            (kind, mask) => panic!("{kind:?} of {mask:?}"),
        }
        let found = self.cells(batch);
        for ((name, _), found) in self.layout.attributes.iter().zip(found) {
            let is_in = |mask: &Vec<String>| mask.iter().any(|named| named == name.as_str());
            let is_touched = expected.mask.as_ref().is_none_or(is_in);
            let wanted = is_touched.then(|| &expected.cells[name.as_str()]);
            wanted.unwrap_or(&Cell::Null).assert_is(found.as_deref(), name.as_str());
        }
    }

    /// The values of the only record, as `Statements::insert` would get them.
    fn cells(&self, batch: &Batch) -> Vec<Option<Vec<u8>>> {
        let write = fold(batch, &batch.groups()[0], None, Version::NEVER).unwrap();
        let arrays = Writes::new(batch, &[write]).insert();
        let attributes = &arrays[arrays.len() - self.layout.attributes.len()..];
        let only = |array: &plan::Array| {
            let mut bytes = Vec::new();
            array.encode(&mut bytes);
            // Dimensions, null flag, element type, length and lower bound: 20 bytes.
            let (length, cell) = bytes[20..].split_first_chunk().unwrap();
            let length = i32::from_be_bytes(*length);
            assert_eq!(usize::try_from(length.max(0)), Ok(cell.len()));
            (length >= 0).then(|| cell.to_vec())
        };
        attributes.iter().map(only).collect()
    }

    fn is_stricter(&self, error: &DecodeError) -> bool {
        let of_maps = IN_REPLACED_ENTRIES.iter().filter(|_| self.has_maps);
        STRICTER.iter().chain(of_maps).any(|reason| error.to_string().contains(reason))
    }
}
