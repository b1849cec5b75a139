//! What a provider tells the engine.

use records::{NativeId, TypeName, Value, Version};

/// An object as its provider describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Its type.
    pub entity_type: TypeName,
    /// What other objects call it.
    pub native_id: NativeId,
    /// Attribute names and values. In a whole object, attributes of the type that are not listed
    /// are null; in an update they are not touched.
    pub attributes: Vec<(&'static str, Value)>,
}

/// A change that the API reported.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The whole object, new or changed.
    Upsert(Entity),
    /// Some attributes of an object: only those listed are touched.
    Update(Entity),
    /// The object is gone.
    Delete(TypeName, NativeId),
}

/// A range of native ids in byte order: from `from` up to but not including `to` (`None`: to the
/// end).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first id that may be in it.
    pub from: String,
    /// The first id after it.
    pub to: Option<String>,
}

impl Range {
    /// Every id.
    #[must_use]
    pub const fn all() -> Self {
        Self { from: String::new(), to: None }
    }

    /// Exactly the children of `parent`: `[parent/, parent0)`.
    #[must_use]
    pub fn children(parent: &str) -> Self {
        let parent = records::escape(parent);
        Self { from: format!("{parent}/"), to: Some(format!("{parent}0")) }
    }

    /// Whether `id` is in it.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        id >= self.from.as_str() && self.to.as_deref().is_none_or(|to| id < to)
    }
}

/// One message from a provider to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// A whole object seen by a listing whose version was taken before its first request.
    Listed(Version, Entity),
    /// All objects of the type in the range, as of the listing's version, have been sent as
    /// `Listed` with that version: whatever else is known there is gone.
    Complete(Version, TypeName, Range),
    /// The whole listing of that version is over: every type has been completed.
    ListingEnds(Version),
    /// A change, with the version taken when it was received.
    Changed(Version, Change),
    /// The stream is alive although nothing changed.
    Alive,
}
