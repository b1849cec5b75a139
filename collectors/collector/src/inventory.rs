//! What the provider observes becomes records, in the order that collectors owe.

use crate::CollectError;
use crate::context::Context;
use crate::extents::cut;
use crate::formats::Formats;
use crate::guard::{Guard, Verdict};
use crate::outlet::{Outlet, Record};
use crate::pace::Pace;
use provider::{Change, Entity, Observation, Range};
use records::contract::{Delete, Extent, Position};
use records::topics::{extent_key, object_key};
use records::{EncodeError, NativeId, SourceName, Topic, TypeName, Upsert, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The stream that [`Position`] is about.
const STREAM: &str = "inventory";

/// How many objects of each type lived at a checkpoint.
pub type Counts = BTreeMap<TypeName, usize>;

/// Publishes a source's inventory.
pub struct Inventory<O> {
    /// Where records go.
    pub outlet: O,
    source: SourceName,
    formats: Arc<Formats>,
    metrics: crate::Metrics,
    guard: Guard,
    pace: Pace,
    /// When the stream has begun.
    begun: Instant,
    /// Ids that listings have seen and not yet completed.
    listed: BTreeMap<(Version, TypeName), Vec<String>>,
    listing: Version,
    listing_ended: Version,
}

/// The key on `checkpoints` of the inventory's position.
#[must_use]
pub fn position_key(source: &SourceName) -> String {
    format!("{source}/{STREAM}")
}

/// What a position's token says; a token of another form says nothing.
#[must_use]
pub fn counts(position: &Position) -> Counts {
    let counts: BTreeMap<String, usize> =
        serde_json::from_slice(&position.token).unwrap_or_default();
    let valid = |(name, count)| Some((TypeName::new(name).ok()?, count));
    counts.into_iter().filter_map(valid).collect()
}

impl<O: Outlet> Inventory<O> {
    /// Goes on after a checkpoint.
    #[must_use]
    pub fn new(outlet: O, context: &Context, formats: Arc<Formats>, memory: (Guard, Pace)) -> Self {
        let (guard, pace) = memory;
        Self {
            outlet,
            source: context.source.clone(),
            formats,
            metrics: context.metrics.clone(),
            guard,
            pace,
            begun: Instant::now(),
            listed: BTreeMap::new(),
            listing: Version::NEVER,
            listing_ended: Version::NEVER,
        }
    }

    /// A stream begins: listings that an earlier one did not complete are void.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
        self.listed.clear();
    }

    /// The version of the last listing that is complete and acknowledged.
    #[must_use]
    pub const fn listing_ended(&self) -> Version {
        self.listing_ended
    }

    /// Whether the guard waits for a second listing.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.guard.is_holding()
    }

    /// Ends all objects of the types that an earlier collector knew and this one does not.
    ///
    /// # Errors
    /// Kafka's.
    pub async fn retire(&mut self, version: Version) -> Result<(), CollectError> {
        let known: Vec<TypeName> = self.guard.counts().map(|(name, _)| name.clone()).collect();
        for entity_type in known.iter().filter(|name| self.formats.entity(name).is_none()) {
            tracing::warn!(%entity_type, "no longer collected: its objects end");
            let part = (Range::all(), Vec::new());
            self.send_extent(Topic::InventorySnapshot, (version, entity_type), part).await?;
            self.guard.forget(entity_type);
        }
        Ok(())
    }

    /// Publishes an observation.
    ///
    /// # Errors
    /// Kafka's, or a mistake of the provider's code.
    pub async fn observe(&mut self, observation: Observation) -> Result<(), CollectError> {
        match observation {
            Observation::Listed(version, entity) => self.listed(version, entity).await,
            Observation::Complete(version, entity_type, range) => {
                self.complete(version, entity_type, &range).await
            }
            Observation::ListingEnds(version) => self.listing_ends(version).await,
            Observation::Changed(version, change) => self.changed(version, change).await,
            Observation::Alive => Ok(()),
        }
    }

    async fn listed(&mut self, version: Version, entity: Entity) -> Result<(), CollectError> {
        if version > self.listing {
            // Live records of lower versions come first.
            self.outlet.acknowledged().await?;
            self.listing = version;
        }
        let key = (version, entity.entity_type.clone());
        let native_id = entity.native_id.to_string();
        self.pace.wait().await;
        self.send_entity(Topic::InventorySnapshot, version, (entity, false)).await?;
        self.listed.entry(key).or_default().push(native_id);
        Ok(())
    }

    async fn complete(
        &mut self,
        version: Version,
        entity_type: TypeName,
        range: &Range,
    ) -> Result<(), CollectError> {
        let key = (version, entity_type);
        let listed = self.listed.remove(&key).unwrap_or_default();
        let (keys, others): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|id| range.contains(id));
        let is_whole = *range == Range::all();
        if !others.is_empty() {
            self.listed.insert(key.clone(), others);
        }
        if is_whole && !self.is_believed(&key.1, &keys) {
            return Ok(());
        }
        // An extent only names what is there already.
        self.outlet.acknowledged().await?;
        let lane = if is_whole { Topic::InventorySnapshot } else { Topic::InventoryLive };
        for part in cut(range, keys) {
            self.send_extent(lane, (version, &key.1), (part.range, part.keys)).await?;
        }
        Ok(())
    }

    fn is_believed(&mut self, entity_type: &TypeName, keys: &[String]) -> bool {
        let verdict = self.guard.judge(entity_type, keys);
        self.metrics.held_listings.set(i64::try_from(self.guard.held()).unwrap_or(i64::MAX));
        let Verdict::Held { ending, living } = verdict else { return true };
        tracing::warn!(
            %entity_type, ending, living, listed = keys.len(),
            "this listing would end more than half of the objects: held until a second one \
             agrees; check the privileges of the account"
        );
        false
    }

    async fn listing_ends(&mut self, version: Version) -> Result<(), CollectError> {
        self.outlet.acknowledged().await?;
        let counts: BTreeMap<&str, usize> =
            self.guard.counts().map(|(name, count)| (name.as_str(), count)).collect();
        let token = serde_json::to_vec(&counts).expect("a map of numbers has a JSON form");
        let objects: usize = counts.values().sum();
        let position = Position {
            source: self.source.to_string(),
            stream: STREAM.to_owned(),
            version: version.micros(),
            token,
        };
        let (topic, key) = (Topic::Checkpoints, position_key(&self.source));
        let payload = self.formats.frame(&position);
        self.outlet.send(Record { topic, key, payload }).await?;
        self.outlet.acknowledged().await?;
        self.listing_ended = version;
        self.metrics.listings.inc();
        let seconds = self.begun.elapsed().as_secs_f64();
        tracing::info!(objects, seconds, "listing complete and acknowledged");
        Ok(())
    }

    async fn changed(&mut self, version: Version, change: Change) -> Result<(), CollectError> {
        match change {
            Change::Upsert(entity) => {
                self.guard.saw_alive(&entity.entity_type, entity.native_id.as_str());
                self.send_entity(Topic::InventoryLive, version, (entity, false)).await
            }
            Change::Update(entity) => {
                self.send_entity(Topic::InventoryLive, version, (entity, true)).await
            }
            Change::Delete(entity_type, native_id) => {
                self.guard.saw_dead(&entity_type, native_id.as_str());
                self.send_delete(version, &entity_type, &native_id).await
            }
        }
    }

    async fn send_entity(
        &self,
        topic: Topic,
        version: Version,
        (mut entity, partial): (Entity, bool),
    ) -> Result<(), CollectError> {
        let key = object_key(&self.source, &entity.entity_type, &entity.native_id);
        let payload = self.frame(version, &mut entity, partial)?;
        self.outlet.send(Record { topic, key, payload }).await
    }

    /// An attribute that can't be written is left out and told: it costs itself only.
    fn frame(
        &self,
        version: Version,
        entity: &mut Entity,
        partial: bool,
    ) -> Result<Vec<u8>, CollectError> {
        let entity_type = &entity.entity_type;
        let format = self.formats.entity(entity_type);
        let format = format.ok_or_else(|| CollectError::UnknownType(entity_type.clone()))?;
        loop {
            let attributes = &entity.attributes;
            let (source, native_id) = (&self.source, &entity.native_id);
            let upsert = Upsert { source, native_id, version, partial, attributes };
            let error = match format.frame(&upsert) {
                Ok(payload) => return Ok(payload),
                Err(error) => error,
            };
            let (EncodeError::Type { attribute: wrong, .. }
            | EncodeError::Unknown { attribute: wrong, .. }) = &error;
            let before = entity.attributes.len();
            entity.attributes.retain(|(name, _)| name != wrong);
            if entity.attributes.len() == before {
                return Err(error.into());
            }
            self.metrics.failed("attribute");
            tracing::warn!(native_id = %entity.native_id, "{error}; published without it");
        }
    }

    async fn send_delete(
        &self,
        version: Version,
        entity_type: &TypeName,
        native_id: &NativeId,
    ) -> Result<(), CollectError> {
        let delete = Delete {
            source: self.source.to_string(),
            entity_type: entity_type.to_string(),
            native_id: native_id.to_string(),
            version: version.micros(),
        };
        let key = object_key(&self.source, entity_type, native_id);
        let payload = self.formats.frame(&delete);
        self.outlet.send(Record { topic: Topic::InventoryLive, key, payload }).await
    }

    async fn send_extent(
        &self,
        topic: Topic,
        (version, entity_type): (Version, &TypeName),
        (range, keys): (Range, Vec<String>),
    ) -> Result<(), CollectError> {
        let extent = Extent {
            source: self.source.to_string(),
            entity_type: Some(entity_type.to_string()),
            from: range.from,
            to: range.to,
            version: version.micros(),
            keys,
        };
        let key = extent_key(&self.source, Some(entity_type));
        self.outlet.send(Record { topic, key, payload: self.formats.frame(&extent) }).await
    }
}

#[cfg(test)]
mod tests;
