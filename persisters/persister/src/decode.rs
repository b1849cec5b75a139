//! From fetched records to steps: batches by type, and extents on their own; or one batch of events
//! or samples.

use catalog::{Known, Meaning, Table, Waiting};
use plan::{Batch, DecodeError, Spare};
use records::contract::{ContractRecord, Delete, Extent, ObjectRef};
use records::rejection::Class;
use records::{NativeId, SourceName, TypeName, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use wire::Incoming;

/// Records that are applied in one transaction, with the number of the last one.
#[derive(Debug)]
pub struct Step {
    /// What is applied.
    pub work: Work,
    /// How many of the fetched records are done with it.
    pub end: usize,
}

/// What one transaction applies.
#[derive(Debug)]
pub enum Work {
    /// Upserts and deletes, by type.
    Changes(BTreeMap<TypeName, Batch>),
    /// An extent, in a short transaction of its own.
    Extent(Extent),
    /// Events or samples.
    History(history::Batch),
}

impl Work {
    /// The tables of its batches.
    #[must_use]
    pub fn tables(&self, known: &Known) -> HashMap<TypeName, Table> {
        let Self::Changes(batches) = self else { return HashMap::new() };
        batches.keys().filter_map(|name| Some((name.clone(), known.table(name)?.clone()))).collect()
    }
}

/// A record that can't be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its number among the fetched records.
    pub origin: usize,
    /// The kind of mistake.
    pub class: Class,
    /// What is wrong.
    pub message: String,
}

/// Why one record is rejected.
type Refusal = (Class, String);

/// What fetched records are.
#[derive(Debug, Default)]
pub struct Decoded {
    /// What is applied, in the order of the records.
    pub steps: Vec<Step>,
    /// What can't be applied.
    pub rejected: Vec<Rejected>,
    /// What can't be applied yet: the record's number, and why.
    pub waiting: Vec<(usize, Arc<Waiting>)>,
    /// Types whose tables are not known, of which objects are deleted: one by one, by extents.
    pub unmet: BTreeSet<TypeName>,
}

/// What one record is.
enum One {
    /// It was added to its type's batch.
    Change,
    /// An extent.
    Extent(Extent),
    /// The delete of an object whose type has not been met.
    Unmet(TypeName, Extent),
    /// Of a type that is not ready.
    Waiting(Arc<Waiting>),
}

/// Decodes fetched records whose schema ids have been looked up.
#[must_use]
pub fn decode(fetched: &[Incoming], known: &Known, spare: &Spare) -> Decoded {
    let mut decoded = Decoded::default();
    let mut batches = BTreeMap::new();
    for (origin, record) in fetched.iter().enumerate() {
        match decode_one(record, origin, known, (&mut batches, spare)) {
            Ok(One::Change) => {}
            Ok(One::Waiting(waiting)) => decoded.waiting.push((origin, waiting)),
            Ok(One::Extent(extent)) => decoded.extent((&mut batches, origin), extent),
            Ok(One::Unmet(entity_type, extent)) => {
                decoded.unmet.insert(entity_type);
                decoded.extent((&mut batches, origin), extent);
            }
            Err((class, message)) => decoded.rejected.push(Rejected { origin, class, message }),
        }
    }
    decoded.steps.push(Step { work: Work::Changes(batches), end: fetched.len() });
    decoded
}

impl Decoded {
    /// Ends the step before an extent, and adds that as one of its own.
    fn extent(
        &mut self,
        (batches, origin): (&mut BTreeMap<TypeName, Batch>, usize),
        extent: Extent,
    ) {
        self.steps.push(Step { work: Work::Changes(std::mem::take(batches)), end: origin });
        self.steps.push(Step { work: Work::Extent(extent), end: origin + 1 });
    }
}

fn decode_one(
    record: &Incoming,
    origin: usize,
    known: &Known,
    (batches, spare): (&mut BTreeMap<TypeName, Batch>, &Spare),
) -> Result<One, Refusal> {
    let (meaning, avro) = meaning(record, known)?;
    match meaning {
        Meaning::Refused(class, reason) => Err((*class, reason.clone())),
        Meaning::History(..) => Err(wrong_topic()),
        Meaning::Waiting(waiting) => Ok(One::Waiting(Arc::clone(waiting))),
        Meaning::Entity(entity_type, plan) => {
            let batch = match batches.get_mut(entity_type) {
                Some(batch) => batch,
                None => {
                    let table = known.table(entity_type);
                    let table = table.expect("made when the schema was looked up");
                    batches.entry(entity_type.clone()).or_insert(spare.take(&table.layout))
                }
            };
            plan.decode(avro, origin, batch).map_err(|error| undecoded(&error))?;
            Ok(One::Change)
        }
        Meaning::Extent(writer) => {
            let extent = Extent::decode(writer, avro).map_err(invalid)?;
            check_extent(&extent).map(|()| One::Extent(extent))
        }
        Meaning::Delete(writer) => {
            let delete = Delete::decode(writer, avro).map_err(invalid)?;
            let (object, version) = delete.validate().map_err(invalid)?;
            check_version(version)?;
            let Some(table) = known.table(&object.entity_type) else {
                let extent = only(&object, version);
                return Ok(One::Unmet(object.entity_type, extent));
            };
            batches.entry(object.entity_type).or_insert_with(|| spare.take(&table.layout)).delete(
                (object.source, object.native_id),
                version,
                origin,
            );
            Ok(One::Change)
        }
    }
}

/// What a record is, and its Avro.
fn meaning<'a>(record: &'a Incoming, known: &'a Known) -> Result<(&'a Meaning, &'a [u8]), Refusal> {
    let empty = || (Class::NoValue, "the record is empty".to_owned());
    let payload = record.payload.as_deref().ok_or_else(empty)?;
    let (id, avro) = wire::unframe(payload).map_err(|e| (Class::NotFramed, e.to_string()))?;
    let unknown = || (Class::UnknownSchema, format!("schema id {} was not looked up", id.0));
    Ok((known.meaning(id).ok_or_else(unknown)?, avro))
}

/// Decodes fetched events or samples whose schema ids have been looked up.
#[must_use]
pub fn decode_history(
    fetched: &[Incoming],
    known: &Known,
    (kind, window): (history::Kind, history::Window),
) -> Decoded {
    let mut decoded = Decoded::default();
    let mut batch = history::Batch::new(kind);
    for (origin, record) in fetched.iter().enumerate() {
        let added = meaning(record, known).and_then(|(meaning, avro)| match meaning {
            Meaning::Refused(class, reason) => Err((*class, reason.clone())),
            Meaning::History(found, writer) if *found == kind => {
                batch.add(origin, (writer, avro), &window)
            }
            _ => Err(wrong_topic()),
        });
        if let Err((class, message)) = added {
            decoded.rejected.push(Rejected { origin, class, message });
        }
    }
    decoded.steps.push(Step { work: Work::History(batch), end: fetched.len() });
    decoded
}

fn wrong_topic() -> Refusal {
    (Class::WrongTopic, "records of this type belong to another topic".to_owned())
}

/// The delete of an object whose type has not been met: an extent over nothing but its key, which
/// says the same.
fn only(object: &ObjectRef, version: Version) -> Extent {
    let id = &object.native_id;
    Extent {
        source: object.source.to_string(),
        entity_type: Some(object.entity_type.to_string()),
        from: id.to_string(),
        to: Some(format!("{id}\u{1}")),
        version: version.micros(),
        keys: Vec::new(),
    }
}

fn undecoded(error: &DecodeError) -> Refusal {
    let is_version = matches!(error, DecodeError::ImplausibleVersion(_));
    let class = if is_version { Class::ImplausibleVersion } else { Class::InvalidRecord };
    (class, error.to_string())
}

fn invalid(reason: impl ToString) -> Refusal {
    (Class::InvalidRecord, reason.to_string())
}

/// Unsorted keys, repeated ones or too many of them are the collector's breach, but say clearly
/// what exists.
fn check_extent(extent: &Extent) -> Result<(), Refusal> {
    SourceName::new(&extent.source).map_err(invalid)?;
    if let Some(name) = &extent.entity_type {
        TypeName::new(name).map_err(invalid)?;
    } else if !extent.keys.is_empty() || !extent.from.is_empty() || extent.to.is_some() {
        return Err(invalid("an extent over all types has no keys and no range"));
    }
    if extent.from.contains('\0') || extent.to.as_ref().is_some_and(|to| to.contains('\0')) {
        return Err(invalid("from or to has a NUL, which no native_id has"));
    }
    for key in &extent.keys {
        NativeId::new(key).map_err(|error| invalid(format!("keys: {error}")))?;
        if *key < extent.from || extent.to.as_ref().is_some_and(|to| key >= to) {
            return Err(invalid(format!("keys: {key:?} is outside of the extent's range")));
        }
    }
    check_version(Version::from_micros(extent.version))
}

fn check_version(version: Version) -> Result<(), Refusal> {
    if version.is_plausible(Version::now()) {
        return Ok(());
    }
    Err(undecoded(&DecodeError::ImplausibleVersion(version.micros())))
}
