//! The model: what a row becomes when records arrive, in any order, any number of times.
//!
//! A row is a set of registers, existence and one per attribute; the higher version wins. The
//! functions here are the only place that knows the rules: the persister runs them on cells of its
//! batches, the property tests run them on plain values, and both must give the same.

use crate::Version;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An attribute's number among those of its table.
pub type AttributeIndex = usize;

/// The attributes that a writer's schema has: those that a whole upsert of it touches. Two rows
/// with the same id have the same attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeSet {
    /// The registry's id of the schema.
    pub schema: i32,
    /// The attributes, ascending.
    pub indexes: Vec<AttributeIndex>,
}

impl AttributeSet {
    /// Whether the schema has the attribute.
    #[must_use]
    pub fn contains(&self, index: AttributeIndex) -> bool {
        self.indexes.binary_search(&index).is_ok()
    }
}

/// The register that says whether an object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existence {
    /// When it was seen.
    pub version: Version,
    /// What was seen.
    pub alive: bool,
}

/// The newest whole upsert that a row has had: the version of every attribute of its schema that
/// has no exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its version.
    pub version: Version,
    /// What it touched.
    pub attributes: Arc<AttributeSet>,
}

/// One object's registers. `V` is whatever stands for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<V> {
    /// Whether it exists; `None`: only partial updates have been seen.
    pub existence: Option<Existence>,
    /// Values older than this are void whenever they arrive: the newest death or, for a row first
    /// made under an extent, that extent's version.
    pub floor: Version,
    /// The newest whole upsert; `None`: never seen whole, so not in the view.
    pub base: Option<Base>,
    /// Versions of the attributes that differ from the base's.
    pub exceptions: BTreeMap<AttributeIndex, Version>,
    /// Values by attribute; `None` is null.
    pub values: Vec<Option<V>>,
}

/// A record about one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<'a, V> {
    /// Every attribute of the writer's schema.
    Whole {
        /// What the schema has.
        attributes: &'a Arc<AttributeSet>,
        /// Values in the order of `attributes`.
        values: &'a [Option<V>],
    },
    /// Only some attributes; existence stays as it is.
    Partial {
        /// Attributes and their values.
        values: &'a [(AttributeIndex, Option<V>)],
    },
    /// The object is gone.
    Delete,
}

impl<V: Clone> Row<V> {
    /// The row of an object that nothing is known of, in a table of `attributes` columns, under an
    /// extent of version `cover` ([`Version::NEVER`] if there is none).
    #[must_use]
    pub fn new(attributes: usize, cover: Version) -> Self {
        Self {
            existence: None,
            floor: cover,
            base: None,
            exceptions: BTreeMap::new(),
            values: vec![None; attributes],
        }
    }

    /// Whether the view shows it: alive and seen whole.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.base.is_some() && self.is_alive()
    }

    /// Whether it is known to exist.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.existence.is_some_and(|e| e.alive)
    }

    /// The version of an attribute's value; [`Version::NEVER`] if it was never touched.
    #[must_use]
    pub fn version_of(&self, index: AttributeIndex) -> Version {
        let of_base = || self.base.as_ref().filter(|base| base.attributes.contains(index));
        self.exceptions
            .get(&index)
            .copied()
            .or_else(|| of_base().map(|base| base.version))
            .unwrap_or_default()
    }

    /// The newest version of all registers.
    #[must_use]
    pub fn newest(&self) -> Version {
        let existence = self.existence.map(|e| e.version);
        let base = self.base.as_ref().map(|b| b.version);
        let exceptions = self.exceptions.values().copied().max();
        existence.max(base).max(exceptions).unwrap_or_default()
    }

    /// Applies a record of `version`; `cover` is the version of the newest extent over its key.
    pub fn apply(&mut self, version: Version, change: &Change<'_, V>, cover: Version) {
        match change {
            Change::Delete => self.die(version, cover),
            Change::Whole { attributes, values } => {
                self.whole(version, (attributes, values), cover)
            }
            Change::Partial { values } => {
                if version >= self.floor_under(cover) {
                    for (index, value) in *values {
                        self.set(*index, value.clone(), version);
                    }
                }
            }
        }
    }

    /// Applies an extent of `version` that is the newest over this row and lists its key or not.
    pub fn extent(&mut self, version: Version, listed: bool) {
        let known = self.existence;
        if listed {
            if known.is_none_or(|e| !e.alive && e.version <= version) {
                if known.is_some() {
                    self.floor = Version::NEVER;
                }
                self.existence = Some(Existence { version, alive: true });
            }
        } else if known.is_none_or(|e| e.alive && e.version < version) {
            self.existence = Some(Existence { version, alive: false });
            self.floor = self.floor.max(version);
        } else if known.is_some_and(|e| e.alive && e.version > version) && version > self.floor {
            // It was made again since: what the new life's writer doesn't know is not from before.
            self.floor = version;
            self.void_below(version);
        }
    }

    fn whole(
        &mut self,
        version: Version,
        (attributes, values): (&Arc<AttributeSet>, &[Option<V>]),
        cover: Version,
    ) {
        let floor = self.floor_under(cover);
        if version < floor {
            return;
        }
        let revives = self.existence.is_none_or(|e| version >= e.version) && version >= cover;
        if revives {
            if !self.is_alive() {
                self.floor = floor;
                self.void_below(floor);
            }
            self.existence = Some(Existence { version, alive: true });
        }
        if self.base.as_ref().is_none_or(|base| version >= base.version) {
            self.rebase(version, attributes, values);
        } else {
            for (index, value) in attributes.indexes.iter().zip(values) {
                self.set(*index, value.clone(), version);
            }
        }
    }

    /// Makes a whole upsert the base: newer attributes stay exceptions, and so do those that the
    /// upsert's schema does not have.
    fn rebase(&mut self, version: Version, set: &Arc<AttributeSet>, values: &[Option<V>]) {
        let old: Vec<Version> = (0..self.values.len()).map(|i| self.version_of(i)).collect();
        self.exceptions.clear();
        for (index, value) in set.indexes.iter().zip(values) {
            if old[*index] > version {
                self.exceptions.insert(*index, old[*index]);
            } else {
                self.values[*index].clone_from(value);
            }
        }
        for (index, old) in old.into_iter().enumerate() {
            if old > Version::NEVER && !set.contains(index) {
                self.exceptions.insert(index, old);
            }
        }
        self.base = Some(Base { version, attributes: Arc::clone(set) });
    }

    fn set(&mut self, index: AttributeIndex, value: Option<V>, version: Version) {
        if version > self.version_of(index) {
            self.values[index] = value;
            self.exceptions.insert(index, version);
        }
    }

    fn die(&mut self, version: Version, cover: Version) {
        if version < cover {
            return;
        }
        if self.existence.is_none_or(|e| version > e.version) {
            self.existence = Some(Existence { version, alive: false });
        }
        if version > self.floor {
            self.floor = version;
            if self.is_alive() {
                self.void_below(version);
            }
        }
    }

    /// The floor of a row under an extent: a dead row that a newer extent did not revive was dead
    /// then too, exactly as if its tombstone had been purged.
    fn floor_under(&self, cover: Version) -> Version {
        match self.existence {
            Some(Existence { alive: false, version }) if version < cover => self.floor.max(cover),
            _ => self.floor,
        }
    }

    /// Values below the floor belong to an earlier life.
    fn void_below(&mut self, floor: Version) {
        for index in 0..self.values.len() {
            let version = self.version_of(index);
            if version > Version::NEVER && version < floor {
                self.values[index] = None;
            }
        }
    }
}
