//! The records of one entity type that are applied together, as columns.

use crate::column::{Array, Column};
use crate::fold::Cell;
use crate::read::{DecodeError, utf8};
use records::model::{AttributeIndex, AttributeSet, Change};
use records::{AttributeName, ColumnType, NativeId, SourceName, TypeName, Version};
use std::ops::Range;
use std::sync::Arc;

/// A table's attributes in the order of its columns: an attribute's place is its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The entity type, also the table's name.
    pub entity_type: TypeName,
    /// Names and types of the attributes' columns.
    pub attributes: Vec<(AttributeName, ColumnType)>,
}

impl Layout {
    /// The place of an attribute.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<AttributeIndex> {
        self.attributes.iter().position(|(attribute, _)| attribute.as_str() == name)
    }
}

/// What a record does to its object.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Every attribute of the writer's schema; its cells begin at this place.
    Whole(Arc<AttributeSet>, usize),
    /// The attributes of the mask; its cells are from here to there.
    Partial(usize, usize),
    /// The object is gone.
    Delete,
}

/// A decoded record; [`Batch::key`] tells its object.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where its source and its native id stand among the batch's names.
    pub(crate) key: (Range<usize>, Range<usize>),
    /// Its version.
    pub version: Version,
    /// What it does.
    pub kind: Kind,
    /// Its number among the records that were fetched with it.
    pub origin: usize,
}

/// Decoded records of one type and the cells that they brought.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) layout: Arc<Layout>,
    /// What the versions of its records are judged by.
    pub(crate) made_at: Version,
    pub(crate) columns: Vec<Column>,
    pub(crate) records: Vec<Record>,
    names: String,
    pub(crate) values: Vec<Option<Cell>>,
    pub(crate) masked: Vec<(AttributeIndex, Option<Cell>)>,
}

/// The records of one object, in the order of their arrival.
#[derive(Debug, Clone)]
pub struct Group {
    /// Numbers of records in the batch.
    pub records: Vec<usize>,
}

impl Batch {
    /// An empty batch for a table.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self {
            made_at: Version::now(),
            columns: layout.attributes.iter().map(|(name, _)| Column::new(name.as_str())).collect(),
            layout,
            records: Vec::new(),
            names: String::new(),
            values: Vec::new(),
            masked: Vec::new(),
        }
    }

    /// Forgets the records, but keeps the memory: fresh memory costs as much as decoding into it.
    pub(crate) fn clear(&mut self) {
        self.made_at = Version::now();
        self.columns.iter_mut().for_each(Column::clear);
        self.records.clear();
        self.names.clear();
        self.values.clear();
        self.masked.clear();
    }

    /// The table's attributes.
    #[must_use]
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The sources of the records; one that follows itself is told once.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let runs = self.records.chunk_by(|a, b| a.key.0 == b.key.0);
        runs.map(|run| &self.names[run[0].key.0.clone()])
    }

    /// The memory that the cells and their places hold, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let of_places = self.values.capacity() * size_of::<Option<Cell>>()
            + self.masked.capacity() * size_of::<(AttributeIndex, Option<Cell>)>();
        self.columns.iter().map(Column::capacity).sum::<usize>() + of_places + self.names.capacity()
    }

    /// These records of it alone.
    #[must_use]
    pub fn part(&self, records: &[usize]) -> Self {
        let records = records.iter().map(|number| self.records[*number].clone()).collect();
        Self { records, ..self.clone() }
    }

    /// Appends a delete, which has no cells.
    pub fn delete(&mut self, object: (SourceName, NativeId), version: Version, origin: usize) {
        let (source, native_id) = object;
        let source = self.add_name(source.as_str());
        let native_id = self.add_name(native_id.as_str());
        self.records.push(Record { key: (source, native_id), version, kind: Kind::Delete, origin });
    }

    /// Checks a key and appends it to the names; a source that follows itself stands there once.
    pub(crate) fn add_key(
        &mut self,
        source: &[u8],
        native_id: &[u8],
    ) -> Result<(Range<usize>, Range<usize>), DecodeError> {
        let native_id = utf8(native_id).map_err(|fault| fault.at("native_id"))?;
        NativeId::check(native_id)?;
        let last = self.records.last().map(|record| record.key.0.clone());
        let source = match last.filter(|last| self.names.as_bytes()[last.clone()] == *source) {
            Some(last) => last,
            None => {
                let source = utf8(source).map_err(|fault| fault.at("source"))?;
                SourceName::check(source)?;
                self.add_name(source)
            }
        };
        Ok((source, self.add_name(native_id)))
    }

    fn add_name(&mut self, name: &str) -> Range<usize> {
        let start = self.names.len();
        self.names.push_str(name);
        start..self.names.len()
    }

    /// The records by object, the objects in the order of the table's key.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        let mut order: Vec<usize> = (0..self.records.len()).collect();
        order.sort_by(|a, b| self.key(*a).cmp(&self.key(*b)).then(a.cmp(b)));
        order
            .chunk_by(|a, b| self.key(*a) == self.key(*b))
            .map(|records| Group { records: records.to_vec() })
            .collect()
    }

    /// The table's key of a record's object.
    #[must_use]
    pub fn key(&self, record: usize) -> (&str, &str) {
        let (source, native_id) = &self.records[record].key;
        (&self.names[source.clone()], &self.names[native_id.clone()])
    }

    /// Whether a group is one whole record: what may be compared with its row and left out.
    #[must_use]
    pub fn is_whole(&self, group: &Group) -> bool {
        let [record] = group.records[..] else { return false };
        matches!(self.records[record].kind, Kind::Whole(..))
    }

    /// Whether no record of a group is whole, or a delete.
    #[must_use]
    pub fn is_partial(&self, group: &Group) -> bool {
        let mut kinds = group.records.iter().map(|record| &self.records[*record].kind);
        kinds.all(|kind| matches!(kind, Kind::Partial(..)))
    }

    /// The parameters of `Statements::read`.
    #[must_use]
    pub fn look_up(&self, groups: &[&Group]) -> Vec<Array> {
        let firsts = || groups.iter().map(|group| group.records[0]);
        vec![
            Array::texts(firsts().map(|record| self.key(record).0)),
            Array::texts(firsts().map(|record| self.key(record).1)),
        ]
    }

    /// The parameters of `Statements::compare`, for groups of one whole record each. With a licence
    /// a record need not be written if its values are those of the row; without, only if it is the
    /// one that was written last.
    #[must_use]
    pub fn compared(&self, groups: &[&Group], licensed: bool) -> Vec<Array> {
        let firsts = || groups.iter().map(|group| group.records[0]);
        let version = |record: usize| (!licensed).then(|| self.records[record].version.micros());
        let mut arrays = self.look_up(groups);
        arrays.push(Array::bigints(firsts().map(|record| self.digest_of(record))));
        arrays.push(Array::bigints(firsts().map(version)));
        arrays
    }

    fn digest_of(&self, record: usize) -> Option<i64> {
        let Kind::Whole(set, start) = &self.records[record].kind else { return None };
        let values = self.values[*start..].iter().copied();
        self.digest(set.indexes.iter().copied().zip(values))
    }

    /// What stands for all values of a row: the sum of those that are not null. `None` if one of
    /// them is only in the table.
    pub(crate) fn digest(
        &self,
        values: impl Iterator<Item = (AttributeIndex, Option<Cell>)>,
    ) -> Option<i64> {
        let mut sum = 0_u64;
        for (index, cell) in values {
            match cell {
                None => {}
                Some(Cell::Stored) => return None,
                Some(Cell::Incoming(number)) => {
                    sum = sum.wrapping_add(self.columns[index].digest(number));
                }
            }
        }
        Some(sum.cast_signed())
    }

    /// An attribute's cell behind its length; `None` is null.
    pub(crate) fn cell(&self, index: AttributeIndex, cell: Option<Cell>) -> Option<&[u8]> {
        match cell {
            Some(Cell::Incoming(place)) => Some(self.columns[index].cell(place)),
            Some(Cell::Stored) | None => None,
        }
    }

    /// What the model makes of a record.
    pub(crate) fn change<'a>(&'a self, record: &'a Record) -> Change<'a, Cell> {
        match &record.kind {
            Kind::Delete => Change::Delete,
            Kind::Partial(start, end) => Change::Partial { values: &self.masked[*start..*end] },
            Kind::Whole(attributes, start) => {
                let values = &self.values[*start..*start + attributes.indexes.len()];
                Change::Whole { attributes, values }
            }
        }
    }
}
