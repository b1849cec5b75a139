//! The pure model, given what two persisters have committed, in the order of their commits.

use crate::history::{KeyRange, Object, Objects, Place, Record, Target, at};
use crate::kinds::{Code, Kinds, NAMES, WIDTHS, json};
use records::Version;
use records::extents::Extents;
use records::model::{AttributeSet, Change, Row};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// What one transaction did.
#[derive(Debug, Clone)]
pub enum Done {
    /// It applied records.
    Records(Vec<Record>),
    /// A delete whose type its persister had not met: an extent over nothing but one key.
    Nothing(Object, i64),
    /// It removed tombstones.
    Purged(Vec<Object>),
}

/// The rules that a test can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Extents over a type cover its objects.
    TypesCover,
    /// So do those over all types of a source.
    SourcesCover,
    /// An upsert of an unknown object older than what covers it is dropped.
    DropCoveredUnknown,
    /// A row that is made under an extent has nothing from before.
    Floor,
    /// Where a newer extent is, an older one moves nothing.
    OldExtentsMoveNothing,
    /// An extent is about its range only.
    Ranges,
    /// The delete of an object of an unknown type is remembered.
    RememberNothing,
}

/// Rows as the model has them.
#[derive(Debug)]
pub struct Replay<'a> {
    left_out: Option<Rule>,
    kinds: &'a Kinds,
    rows: BTreeMap<Object, Row<u32>>,
    of_types: BTreeMap<Place, Extents>,
    of_sources: BTreeMap<usize, Extents>,
}

impl<'a> Replay<'a> {
    /// Applies what was committed, in that order.
    ///
    /// # Errors
    /// A tombstone that should not have been purged.
    pub fn of(kinds: &'a Kinds, log: &[Done]) -> Result<Self, String> {
        Self::without(None, kinds, log)
    }

    pub(crate) fn without(
        left_out: Option<Rule>,
        kinds: &'a Kinds,
        log: &[Done],
    ) -> Result<Self, String> {
        let (rows, of_types, of_sources) = Default::default();
        let mut replay = Self { left_out, kinds, rows, of_types, of_sources };
        for done in log {
            match done {
                Done::Records(records) => records.iter().for_each(|r| replay.apply(r)),
                Done::Nothing(object, version) => replay.nothing(*object, at(*version)),
                Done::Purged(objects) => objects.iter().try_for_each(|o| replay.purge(o))?,
            }
        }
        Ok(replay)
    }

    fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    fn cover(&self, object: &Object) -> Version {
        let of_type = self.of_types.get(&object.place).filter(|_| self.keeps(Rule::TypesCover));
        let of_source = self.of_sources.get(&object.place.source);
        let of_source = of_source.filter(|_| self.keeps(Rule::SourcesCover));
        let covers = of_type.into_iter().chain(of_source).map(|extents| extents.cover(object.key));
        covers.max().unwrap_or_default()
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Whole { object, version, schema, values } => {
                let id = self.kinds.forms[object.place.kind][*schema].id.0;
                let indexes = (0..WIDTHS[*schema]).collect();
                let attributes = &Arc::new(AttributeSet { schema: id, indexes });
                self.change(*object, at(*version), &Change::Whole { attributes, values });
            }
            Record::Partial { object, version, values, .. } => {
                self.change(*object, at(*version), &Change::Partial { values });
            }
            Record::Delete { object, version } => {
                self.change(*object, at(*version), &Change::Delete);
            }
            Record::Extent { target, range, version, keys } => {
                let version = at(*version);
                let everywhere = !self.keeps(Rule::Ranges);
                let is_inside = |key: &str| everywhere || range.contains(key);
                self.extent(version, keys, |o| target.has(o.place) && is_inside(o.key));
                self.keep(target, range, version);
            }
        }
    }

    fn change(&mut self, object: Object, version: Version, change: &Change<'_, u32>) {
        let mut cover = self.cover(&object);
        if version < cover && !self.rows.contains_key(&object) {
            if self.keeps(Rule::DropCoveredUnknown) {
                return;
            }
            cover = Version::NEVER;
        }
        let floor = if self.keeps(Rule::Floor) { cover } else { Version::NEVER };
        let row = self.rows.entry(object).or_insert_with(|| Row::new(NAMES.len(), floor));
        row.apply(version, change, cover);
    }

    fn nothing(&mut self, object: Object, version: Version) {
        self.extent(version, &[], |other| *other == object);
        if !self.keeps(Rule::RememberNothing) {
            return;
        }
        let end = format!("{}\u{1}", object.key);
        let ranges = self.of_types.entry(object.place).or_default();
        ranges.insert(object.key, Some(&end), version);
    }

    fn extent(&mut self, version: Version, keys: &[&str], has: impl Fn(&Object) -> bool) {
        let is_newest =
            |o: &Object| self.cover(o) <= version || !self.keeps(Rule::OldExtentsMoveNothing);
        let newest: Vec<Object> =
            self.rows.keys().filter(|o| has(o) && is_newest(o)).copied().collect();
        for object in newest {
            let row = self.rows.get_mut(&object).unwrap();
            row.extent(version, keys.contains(&object.key));
        }
    }

    fn keep(&mut self, target: &Target, range: &KeyRange, version: Version) {
        let ranges = match target {
            Target::Type(place) => self.of_types.entry(*place).or_default(),
            Target::Source(source) => self.of_sources.entry(*source).or_default(),
        };
        let (from, to) = range.bounds();
        ranges.insert(from, to, version);
    }

    fn purge(&mut self, object: &Object) -> Result<(), String> {
        if !self.is_purgeable(object) {
            return Err(format!("{object} was purged, but is needed"));
        }
        self.rows.remove(object);
        Ok(())
    }

    fn is_purgeable(&self, object: &Object) -> bool {
        let is_dead = |row: &&Row<u32>| row.existence.is_some_and(|e| !e.alive);
        let row = self.rows.get(object).filter(is_dead);
        row.is_some_and(|row| row.newest() < self.cover(object))
    }

    /// A tombstone that the last purge should have removed.
    #[must_use]
    pub fn left(&self) -> Option<&Object> {
        self.rows.keys().find(|object| self.is_purgeable(object))
    }

    /// What the table must hold.
    #[must_use]
    pub fn table(&self) -> BTreeMap<Object, Json> {
        self.rows.iter().map(|(object, row)| (*object, registers(row))).collect()
    }

    /// What the view must show.
    ///
    /// # Panics
    /// Never: all rows have all attributes.
    #[must_use]
    pub fn view(&self) -> Objects {
        let visible = self.rows.iter().filter(|(_, row)| row.is_visible());
        visible.map(|(object, row)| (*object, row.values.clone().try_into().unwrap())).collect()
    }
}

/// A row as PostgreSQL tells it in JSON, without the times of its changes.
fn registers(row: &Row<u32>) -> Json {
    let exceptions: Map<String, Json> = row
        .exceptions
        .iter()
        .map(|(index, version)| (NAMES[*index].to_owned(), version.micros().into()))
        .collect();
    let values = shown(&row.values);
    json!({
        "version": row.newest().micros(),
        "existence_version": row.existence.map(|e| e.version.micros()),
        "alive": row.existence.map(|e| e.alive),
        "floor_version": row.floor.micros(),
        "base_version": row.base.as_ref().map(|base| base.version.micros()),
        "base_schema": row.base.as_ref().map(|base| base.attributes.schema),
        "exceptions": (!exceptions.is_empty()).then_some(exceptions),
        "is_gone": row.existence.is_some_and(|e| !e.alive),
        "values": values,
    })
}

/// The values of attributes as PostgreSQL tells them.
#[must_use]
pub fn shown(values: &[Code]) -> Json {
    let named = values.iter().enumerate().map(|(i, code)| (NAMES[i].to_owned(), json(i, *code)));
    Json::Object(named.collect())
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(records) => {
                records.iter().try_for_each(|record| write!(f, "\n    {record}"))
            }
            Self::Nothing(object, version) => write!(f, "\n    @{version} no {object}"),
            Self::Purged(objects) => {
                let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
                write!(f, "\n    purged {objects:?}")
            }
        }
    }
}
