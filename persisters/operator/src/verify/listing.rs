//! The newest complete listing of each type: extents of one version that together cover all ids.

use super::{Applied, Wanted};
use crate::OperatorError;
use apache_avro::Schema;
use records::contract::{ContractRecord, Extent};
use records::extents::Extents;
use records::{EntityType, TypeName, Version};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wire::{Registry, RegistryError, RegistrySettings, Scan, Scanned, SchemaId, unframe};

/// What a type of a source had at a version.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// When.
    pub version: Version,
    /// The ids, and whether the object's record was found.
    pub keys: BTreeMap<String, bool>,
    covered: Extents,
}

impl Listing {
    fn is_complete(&self) -> bool {
        let mut ranges = self.covered.ranges();
        matches!((ranges.next(), ranges.next()), (Some(("", None, _)), None))
    }
}

/// What the records with one schema id are.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    /// Extents, under their writer's schema.
    Extent(Arc<Schema>),
    /// Entities.
    Entity(Arc<EntityType>),
    /// Nothing that makes or ends a row by a listing.
    Other,
}

/// Schema ids that were met.
pub(crate) struct Meanings {
    registry: Registry,
    known: HashMap<i32, Meaning>,
}

impl Meanings {
    /// Knows none yet.
    pub fn new(settings: &RegistrySettings) -> Result<Self, OperatorError> {
        Ok(Self { registry: Registry::new(settings)?, known: HashMap::new() })
    }

    /// What a schema id means.
    pub async fn of(&mut self, id: SchemaId) -> Result<Meaning, OperatorError> {
        if let Some(known) = self.known.get(&id.0) {
            return Ok(known.clone());
        }
        let meaning = match self.registry.schema(id).await {
            Ok(json) => meaning(&json),
            Err(RegistryError::NoSchema { .. }) => Meaning::Other,
            Err(error) => return Err(error.into()),
        };
        self.known.insert(id.0, meaning.clone());
        Ok(meaning)
    }
}

fn meaning(json: &str) -> Meaning {
    let Ok(schema) = Schema::parse_str(json) else { return Meaning::Other };
    if schema.name().is_some_and(|name| name.fullname(None) == Extent::SUBJECT) {
        return Meaning::Extent(Arc::new(schema));
    }
    EntityType::of_schema(schema, json)
        .map_or(Meaning::Other, |entity| Meaning::Entity(Arc::new(entity)))
}

/// Listings by version, of each type.
type ByType = BTreeMap<TypeName, BTreeMap<Version, Listing>>;

/// Reads the topic for the newest complete listing of each type that is wanted.
pub(crate) async fn listings(
    mut scan: Scan,
    meanings: &mut Meanings,
    (wanted, applied): (&Wanted, &Applied),
) -> Result<BTreeMap<TypeName, Listing>, OperatorError> {
    let (mut listed, mut gone) = (ByType::new(), Version::NEVER);
    while let Some(record) = scan.next().await? {
        let Some(extent) = extent_of(&record, meanings).await? else { continue };
        if extent.source != wanted.source.as_str() {
            continue;
        }
        applied.check(&record)?;
        match &extent.entity_type {
            None => gone = gone.max(Version::from_micros(extent.version)),
            Some(name) if wanted.entity_type.as_ref().is_none_or(|only| only == name) => {
                // Another name is a dead letter.
                if let Ok(name) = TypeName::new(name) {
                    add(listed.entry(name).or_default(), &extent);
                }
            }
            Some(_) => {}
        }
    }
    let newest = |(name, versions): (TypeName, BTreeMap<Version, Listing>)| {
        let complete = versions.into_values().rfind(Listing::is_complete)?;
        // The source has ended since: nothing of it is left.
        let ended = Listing { version: gone, ..Listing::default() };
        Some((name, if gone > complete.version { ended } else { complete }))
    };
    Ok(listed.into_iter().filter_map(newest).collect())
}

/// Adds an extent; listings that are older than a complete one are not needed any more.
fn add(versions: &mut BTreeMap<Version, Listing>, extent: &Extent) {
    let version = Version::from_micros(extent.version);
    let listing = versions.entry(version).or_default();
    listing.version = version;
    listing.covered.insert(&extent.from, extent.to.as_deref(), version);
    listing.keys.extend(extent.keys.iter().map(|key| (key.clone(), false)));
    if listing.is_complete() {
        versions.retain(|known, _| *known >= version);
    }
}

/// The extent, if the record is one; what can't be decoded is a dead letter.
async fn extent_of(
    record: &Scanned,
    meanings: &mut Meanings,
) -> Result<Option<Extent>, OperatorError> {
    let framed = record.payload.as_deref().and_then(|payload| unframe(payload).ok());
    let Some((id, avro)) = framed else { return Ok(None) };
    let Meaning::Extent(writer) = meanings.of(id).await? else { return Ok(None) };
    let extent = Extent::decode(&writer, avro).ok();
    Ok(extent.filter(|e| Version::from_micros(e.version).is_plausible(Version::now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(version: i64, from: &str, to: Option<&str>, keys: &[&str]) -> Extent {
        Extent {
            source: "s".to_owned(),
            entity_type: Some("host".to_owned()),
            from: from.to_owned(),
            to: to.map(str::to_owned),
            version,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    #[test]
    fn a_listing_is_complete_when_its_extents_cover_all_ids() {
        let mut versions = BTreeMap::new();
        for extent in [
            extent(1, "", None, &["old"]),
            extent(2, "m", None, &["x"]),
            extent(3, "", Some("m"), &["too", "new"]),
        ] {
            add(&mut versions, &extent);
        }
        let complete = |versions: &BTreeMap<Version, Listing>| -> Vec<i64> {
            let complete = versions.values().filter(|listing| listing.is_complete());
            complete.map(|listing| listing.version.micros()).collect()
        };
        assert_eq!(complete(&versions), [1]);
        add(&mut versions, &extent(2, "", Some("m"), &["a"]));
        assert_eq!(complete(&versions), [2]);
        assert_eq!(versions.len(), 2, "the first is not needed any more");
        let keys: Vec<_> = versions[&Version::from_micros(2)].keys.keys().collect();
        assert_eq!(keys, ["a", "x"]);
    }
}
