//! The two entity types of the histories, each in three versions of its schema, and their bytes.

use crate::history::{KeyRange, Object, Place, Record, Target, at};
use harness::World;
use records::contract::{ContractRecord, Delete, Extent};
use records::topics::{extent_key, object_key};
use records::{Encoder, EntityType, NativeId, SourceName, TypeName, Upsert, Value};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use wire::{Held, Incoming, Registry, RegistrySettings, SchemaId, frame};

/// The attributes: the same of both types.
pub const NAMES: [&str; 4] = ["name", "size", "tags", "labels"];
/// How many of them each version of the schema has.
pub const WIDTHS: [usize; 3] = [2, 3, 4];
/// How many types there are.
pub const KINDS: usize = 2;
/// The number of the size among the attributes.
pub const SIZE: usize = 1;

const TYPES: [&str; 4] = [
    r#""string""#,
    r#""long""#,
    r#"{"type":"array","items":"string"}"#,
    r#"{"type":"map","values":"string"}"#,
];

/// A value as it is in the histories: a small number, or null.
pub type Code = Option<u32>;

/// What stands for a code in a record.
fn value(attribute: usize, code: Code) -> Value {
    let Some(code) = code else { return Value::Null };
    let text = code.to_string();
    match attribute {
        0 => text.into(),
        1 => i64::from(code).into(),
        2 => vec![text].into(),
        _ => Value::Map(BTreeMap::from([("of".to_owned(), text.into())])),
    }
}

/// What stands for a code in a row.
#[must_use]
pub fn json(attribute: usize, code: Code) -> Json {
    let Some(code) = code else { return Json::Null };
    let text = code.to_string();
    match attribute {
        0 => text.into(),
        1 => code.into(),
        2 => json!([text]),
        _ => json!({ "of": text }),
    }
}

/// One version of a type's schema.
#[derive(Debug)]
pub struct Form {
    /// Its id in the registry.
    pub id: SchemaId,
    encoder: Encoder,
}

/// The types, as the registry has them.
#[derive(Debug)]
pub struct Kinds {
    /// The registry.
    pub registry: Registry,
    /// Of each type the versions of its schema.
    pub forms: Vec<Vec<Form>>,
    delete: SchemaId,
    extent: SchemaId,
}

impl Kinds {
    /// Registers types that no table has been made for.
    ///
    /// # Panics
    /// If the registry fails.
    pub async fn register(world: &World, number: u64) -> Self {
        let settings = RegistrySettings::plain(&world.parts().registry.url());
        let registry = Registry::new(&settings).unwrap();
        let mut forms = Vec::new();
        for kind in ["Disk", "Port"] {
            let mut versions = Vec::new();
            for width in WIDTHS {
                let entity = EntityType::parse(&avsc(&format!("{kind}{number}"), width)).unwrap();
                let id = registry.register(entity.subject(), entity.json()).await.unwrap();
                versions.push(Form { id, encoder: Encoder::new(entity) });
            }
            forms.push(versions);
        }
        let delete = registry.register(Delete::SUBJECT, Delete::json()).await.unwrap();
        let extent = registry.register(Extent::SUBJECT, Extent::json()).await.unwrap();
        Self { registry, forms, delete, extent }
    }

    /// Types that no registry knows.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        let registry = Registry::new(&RegistrySettings::plain("http://127.0.0.1:1")).unwrap();
        let form = |(width, id)| {
            let entity = EntityType::parse(&avsc("Thing", width)).unwrap();
            Form { id: SchemaId(id), encoder: Encoder::new(entity) }
        };
        let forms = vec![0, 10].into_iter().map(|first| WIDTHS.into_iter().zip(first..));
        let forms = forms.map(|kind| kind.map(form).collect()).collect();
        Self { registry, forms, delete: SchemaId(20), extent: SchemaId(21) }
    }

    /// The name of a type.
    #[must_use]
    pub fn name(&self, kind: usize) -> &TypeName {
        self.forms[kind][0].encoder.entity_type().name()
    }

    /// The key of a record on its topic.
    ///
    /// # Panics
    /// If the run's name is none of a source.
    #[must_use]
    pub fn key(&self, record: &Record, run: &str) -> String {
        let source = |place: Place| SourceName::new(place.source_name(run)).unwrap();
        match record {
            Record::Whole { object: Object { place, key }, .. }
            | Record::Partial { object: Object { place, key }, .. }
            | Record::Delete { object: Object { place, key }, .. } => {
                let native_id = NativeId::new(*key).unwrap();
                object_key(&source(*place), self.name(place.kind), &native_id)
            }
            Record::Extent { target: Target::Type(place), .. } => {
                extent_key(&source(*place), Some(self.name(place.kind)))
            }
            Record::Extent { target: Target::Source(number), .. } => {
                extent_key(&source(Place { source: *number, kind: 0 }), None)
            }
        }
    }

    /// The record as a persister fetches it; `run` makes its sources those of one history.
    ///
    /// # Panics
    /// If the run's name is none of a source.
    #[must_use]
    pub fn incoming(&self, record: &Record, run: &str) -> Incoming {
        let payload = match record {
            Record::Whole { object, version, schema, values } => {
                let values = values.iter().copied().enumerate().collect::<Vec<_>>();
                self.upsert((object, run), (*version, *schema, false), &values)
            }
            Record::Partial { object, version, schema, values } => {
                self.upsert((object, run), (*version, *schema, true), values)
            }
            Record::Delete { object, version } => {
                let delete = Delete {
                    source: object.place.source_name(run),
                    entity_type: self.name(object.place.kind).to_string(),
                    native_id: object.key.to_owned(),
                    version: at(*version).micros(),
                };
                frame(self.delete, &delete.encode())
            }
            Record::Extent { target, range, version, keys } => {
                let extent = self.extent((target, run), *version, (range, keys));
                frame(self.extent, &extent.encode())
            }
        };
        let (partition, offset) = (records::Partition(0), records::Offset(0));
        let (payload, held) = (Some(payload.into()), Held::default());
        Incoming { partition, offset, key: None, payload, timestamp_ms: None, held }
    }

    fn upsert(
        &self,
        (object, run): (&Object, &str),
        (version, schema, partial): (i64, usize, bool),
        values: &[(usize, Code)],
    ) -> Vec<u8> {
        let form = &self.forms[object.place.kind][schema];
        let attributes: Vec<_> =
            values.iter().map(|(index, code)| (NAMES[*index], value(*index, *code))).collect();
        let upsert = Upsert {
            source: &SourceName::new(object.place.source_name(run)).unwrap(),
            native_id: &NativeId::new(object.key).unwrap(),
            version: at(version),
            partial,
            attributes: &attributes,
        };
        let mut avro = Vec::new();
        form.encoder.encode(&upsert, &mut avro).unwrap();
        frame(form.id, &avro)
    }

    fn extent(
        &self,
        (target, run): (&Target, &str),
        version: i64,
        (range, keys): (&KeyRange, &[&str]),
    ) -> Extent {
        let (from, to) = range.bounds();
        let (source, kind) = match *target {
            Target::Type(Place { source, kind }) => (source, Some(kind)),
            Target::Source(source) => (source, None),
        };
        Extent {
            source: Place { source, kind: 0 }.source_name(run),
            entity_type: kind.map(|kind| self.name(kind).to_string()),
            from: from.to_owned(),
            to: to.map(str::to_owned),
            version: at(version).micros(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }
}

fn avsc(name: &str, width: usize) -> String {
    let attributes: String = NAMES
        .iter()
        .zip(TYPES)
        .take(width)
        .map(|(name, avro)| {
            format!(r#",{{"name":"{name}","type":["null",{avro}],"default":null}}"#)
        })
        .collect();
    format!(
        r#"{{"type":"record","name":"{name}","namespace":"test.convergence","fields":[
        {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},{{"name":"update_mask","type":
        ["null",{{"type":"array","items":"string"}}],"default":null}}{attributes}]}}"#
    )
}
