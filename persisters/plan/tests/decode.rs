//! The compiled decoder against the reference encoder, and the bytes of what it makes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use plan::{Batch, DecodeError, Kind, Layout, Plan, Writes, fold};
use proptest::prelude::{any, prop, proptest};
use records::{Encoder, EntityType, NativeId, SourceName, Upsert, Value, Version};
use std::sync::Arc;
use std::time::Duration;

const SCHEMA: &str = r#"{"type":"record","name":"Thing","namespace":"t","fields":[
    {"name":"source","type":"string"},
    {"name":"native_id","type":"string"},
    {"name":"version","type":"long"},
    {"name":"update_mask","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"name","type":["null","string"],"default":null},
    {"name":"size","type":["null","long"],"default":null},
    {"name":"ratio","type":["null","double"],"default":null},
    {"name":"on","type":["null","boolean"],"default":null},
    {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null},
    {"name":"tags","type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"labels","type":["null",{"type":"map","values":"string"}],"default":null}]}"#;

struct Bench {
    encoder: Encoder,
    plan: Plan,
    layout: Arc<Layout>,
}

fn bench() -> Bench {
    let entity = EntityType::parse(SCHEMA).unwrap();
    let attributes = entity.attributes().iter().map(|a| (a.name.clone(), a.column)).collect();
    let layout = Arc::new(Layout { entity_type: entity.name().clone(), attributes });
    let plan = Plan::compile(7, &entity, &layout).unwrap();
    Bench { encoder: Encoder::new(entity), plan, layout }
}

impl Bench {
    fn encode(&self, partial: bool, attributes: &[(&'static str, Value)]) -> Vec<u8> {
        self.encode_at(Version::now(), partial, attributes)
    }

    fn encode_at(
        &self,
        version: Version,
        partial: bool,
        attributes: &[(&'static str, Value)],
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let upsert = Upsert {
            source: &SourceName::new("s").unwrap(),
            native_id: &NativeId::new("a").unwrap(),
            version,
            partial,
            attributes,
        };
        self.encoder.encode(&upsert, &mut out).unwrap();
        out
    }

    fn decode(&self, bytes: &[u8]) -> Result<Batch, DecodeError> {
        let mut batch = Batch::new(self.layout.clone());
        self.plan.decode(bytes, 0, &mut batch).map(|()| batch)
    }

    /// The cells of the only record's values, as `Statements::insert` would get them.
    fn cells(&self, batch: &Batch) -> Vec<Vec<u8>> {
        let write = fold(batch, &batch.groups()[0], None, Version::NEVER).unwrap();
        let arrays = Writes::new(batch, &[write]).insert();
        arrays[arrays.len() - self.layout.attributes.len()..]
            .iter()
            .map(|array| {
                let mut bytes = Vec::new();
                array.encode(&mut bytes);
                // Behind dimensions, null flag, element type, length, lower bound and the
                // element's own length: 24 bytes.
                bytes.get(24..).map(<[u8]>::to_vec).unwrap_or_default()
            })
            .collect()
    }
}

#[test]
fn a_whole_record_has_every_attribute() {
    let bench = bench();
    let bytes = bench.encode(
        false,
        &[
            ("name", "x".into()),
            ("size", 5_i64.into()),
            ("at", Value::Timestamp(946_684_800_000_001)),
            ("tags", vec!["a", "b\"c"].into()),
        ],
    );
    let batch = bench.decode(&bytes).unwrap();
    assert!(matches!(&batch.records()[0].kind, Kind::Whole(set, _) if set.indexes.len() == 7));
    let cells = bench.cells(&batch);
    assert_eq!(cells[0], b"x");
    assert_eq!(cells[1], 5_i64.to_be_bytes());
    assert!(cells[2].is_empty(), "not given is null");
    assert_eq!(cells[4], 1_i64.to_be_bytes(), "one microsecond after PostgreSQL's epoch");
    assert_eq!(cells[5], br#"{"a","b\"c"}"#);
}

#[test]
fn a_mask_touches_only_what_it_names() {
    let bench = bench();
    let bytes = bench.encode(true, &[("size", 5_i64.into()), ("name", Value::Null)]);
    let batch = bench.decode(&bytes).unwrap();
    assert!(matches!(batch.records()[0].kind, Kind::Partial(0, 2)));
}

#[test]
fn mistakes_are_named() {
    let bench = bench();
    let mut bytes = bench.encode(false, &[("name", "x".into())]);
    bytes.push(0);
    assert_eq!(bench.decode(&bytes).unwrap_err(), DecodeError::TrailingBytes(1));
    bytes.truncate(bytes.len() - 2);
    assert!(matches!(bench.decode(&bytes).unwrap_err(), DecodeError::Truncated(_)));
    let nul = bench.encode(false, &[("name", "a\0b".into())]);
    assert!(bench.decode(&nul).unwrap_err().to_string().contains("NUL"));
}

#[test]
fn a_version_of_a_clock_that_lies_is_a_mistake() {
    let bench = bench();
    let decode = |version| bench.decode(&bench.encode_at(version, false, &[])).map(drop);
    let ahead = |seconds| Version::now().plus(Duration::from_secs(seconds));
    assert_eq!(decode(ahead(590)), Ok(()));
    for version in [ahead(610), Version::from_micros(1_700_000_000), Version::NEVER] {
        let mistake = DecodeError::ImplausibleVersion(version.micros());
        assert_eq!(decode(version), Err(mistake));
    }
}

proptest! {
    #[test]
    fn values_survive(name in any::<String>(), size in any::<i64>(), ratio in any::<f64>()) {
        let bench = bench();
        let name = name.replace('\0', "");
        let (double, text) = (Value::Double(ratio), name.clone());
        let attributes = [("name", text.into()), ("size", size.into()), ("ratio", double)];
        let bytes = bench.encode(false, &attributes);
        let cells = bench.cells(&bench.decode(&bytes).unwrap());
        assert_eq!(cells[0], name.as_bytes());
        assert_eq!(cells[1], size.to_be_bytes());
        assert_eq!(cells[2], ratio.to_be_bytes());
    }

    #[test]
    fn what_is_encoded_is_what_the_reference_reads(
        size in any::<i64>(),
        tags in prop::collection::vec(any::<String>(), 0..4),
        on in any::<Option<bool>>(),
    ) {
        let bench = bench();
        let tags: Vec<Value> = tags.into_iter().map(Value::from).collect();
        let bytes = bench.encode(
            false,
            &[("size", size.into()), ("tags", Value::Array(tags.clone())), ("on", on.into())],
        );
        let schema = bench.encoder.entity_type().schema();
        let value = apache_avro::from_avro_datum(schema, &mut bytes.as_slice(), None).unwrap();
        let again = apache_avro::to_avro_datum(schema, value).unwrap();
        assert_eq!(again, bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(bench().decode(&bytes));
    }
}
