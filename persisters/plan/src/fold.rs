//! The model run on cells: what the records of a batch make of the rows of a table.

use crate::batch::{Batch, Group};
use crate::column::{Array, ElementType, TEXT};
use crate::copy;
use records::Version;
use records::model::{AttributeIndex, Row};
use serde_json::{Map, Value};

/// Bits of one word of the mask of touched attributes: a bigint without its sign.
pub(crate) const WORD_BITS: usize = 63;

/// What stands for a value while rows are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// What the table holds.
    Stored,
    /// A cell that the batch has brought: its place in the attribute's column.
    Incoming(u32),
}

/// A row as the table has it: its registers without its values.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The row's `xmin`: it changes with every write, so it guards against lost updates.
    pub xmin: i64,
    /// Its registers; every value is [`Cell::Stored`].
    pub row: Row<Cell>,
}

/// A row that must be written.
#[derive(Debug, Clone)]
pub struct Write {
    /// A record of the object, for its key.
    pub record: usize,
    /// The `xmin` that the row must still have; `None`: it must not exist yet.
    pub xmin: Option<i64>,
    /// What the row becomes.
    pub row: Row<Cell>,
}

/// Applies a group's records to what the table knows of its object; `cover` is the version of the
/// newest extent over its key. `None`: there is nothing to write.
#[must_use]
pub fn fold(batch: &Batch, group: &Group, known: Option<&Stored>, cover: Version) -> Option<Write> {
    let mut row = known.map(|stored| stored.row.clone());
    for number in &group.records {
        let record = &batch.records[*number];
        if row.is_none() && record.version < cover {
            continue;
        }
        row.get_or_insert_with(|| Row::new(batch.layout.attributes.len(), cover)).apply(
            record.version,
            &batch.change(record),
            cover,
        );
    }
    let row = row?;
    if known.is_some_and(|stored| stored.row == row) {
        return None;
    }
    Some(Write { record: group.records[0], xmin: known.map(|stored| stored.xmin), row })
}

/// Rows to be written, as the arrays of one statement's parameters.
#[derive(Debug)]
pub struct Writes<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) rows: &'a [Write],
}

impl<'a> Writes<'a> {
    /// The parameters of these rows.
    #[must_use]
    pub const fn new(batch: &'a Batch, rows: &'a [Write]) -> Self {
        Self { batch, rows }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The parameters of the insert, in the order of `Statements::insert`.
    #[must_use]
    pub fn insert(&self) -> Vec<Array> {
        let mut arrays = self.keys();
        arrays.extend(self.registers());
        arrays.extend((0..self.batch.layout.attributes.len()).map(|i| self.attribute(i)));
        arrays
    }

    /// The rows as the stream of `Statements::copy`; `None` if one of them is not alive.
    #[must_use]
    pub fn copy(&self) -> Option<Vec<u8>> {
        copy::stream(self)
    }

    /// The attributes that some row touches.
    #[must_use]
    pub fn touched(&self) -> Vec<AttributeIndex> {
        let is_touched = |index: &AttributeIndex| {
            self.rows.iter().any(|write| write.row.values[*index] != Some(Cell::Stored))
        };
        (0..self.batch.layout.attributes.len()).filter(is_touched).collect()
    }

    /// The parameters of the update that sends these attributes, in the order of
    /// [`update`](crate::update).
    #[must_use]
    pub fn update(&self, touched: &[AttributeIndex]) -> Vec<Array> {
        let mut arrays = self.keys();
        arrays.push(Array::bigints(self.rows.iter().map(|write| write.xmin)));
        arrays.extend(self.registers());
        arrays.extend(self.masks());
        arrays.extend(touched.iter().map(|index| self.attribute(*index)));
        arrays
    }

    pub(crate) fn keys(&self) -> Vec<Array> {
        let key = |write: &Write| self.batch.key(write.record);
        vec![
            Array::texts(self.rows.iter().map(|write| key(write).0)),
            Array::texts(self.rows.iter().map(|write| key(write).1)),
        ]
    }

    /// Version, existence, floor, base, exceptions and digest.
    pub(crate) fn registers(&self) -> Vec<Array> {
        let rows = || self.rows.iter().map(|write| &write.row);
        vec![
            self.versions(),
            Array::bigints(rows().map(|row| row.existence.map(|e| e.version.micros()))),
            Array::booleans(rows().map(|row| row.existence.map(|e| e.alive))),
            Array::bigints(rows().map(|row| Some(row.floor.micros()))),
            Array::bigints(rows().map(|row| row.base.as_ref().map(|b| b.version.micros()))),
            Array::bigints(
                rows().map(|row| row.base.as_ref().map(|b| i64::from(b.attributes.schema))),
            ),
            self.all_exceptions(),
            Array::bigints(rows().map(|row| self.digest(row))),
        ]
    }

    pub(crate) fn versions(&self) -> Array {
        Array::bigints(self.rows.iter().map(|write| Some(write.row.newest().micros())))
    }

    pub(crate) fn all_exceptions(&self) -> Array {
        let mut exceptions = Array::new(TEXT);
        for write in self.rows {
            exceptions.push(self.exceptions(&write.row).as_deref().map(str::as_bytes));
        }
        exceptions
    }

    /// Which attributes each row touches.
    pub(crate) fn masks(&self) -> impl Iterator<Item = Array> {
        let words = self.batch.layout.attributes.len().div_ceil(WORD_BITS);
        (0..words).map(|word| self.touched_word(word))
    }

    /// The digest of a row that is as its base says; `None` of any other.
    pub(crate) fn digest(&self, row: &Row<Cell>) -> Option<i64> {
        row.base.as_ref()?;
        self.batch.digest(row.values.iter().enumerate().map(|(index, cell)| match cell {
            // No writer has ever given it: the table was widened for others.
            Some(Cell::Stored) if row.version_of(index) == Version::NEVER => (index, None),
            cell => (index, *cell),
        }))
    }

    pub(crate) fn exceptions(&self, row: &Row<Cell>) -> Option<String> {
        let name = |index: &AttributeIndex| self.batch.layout.attributes[*index].0.to_string();
        let by_name: Map<String, Value> =
            row.exceptions.iter().map(|(i, v)| (name(i), v.micros().into())).collect();
        (!by_name.is_empty()).then(|| Value::Object(by_name).to_string())
    }

    fn touched_word(&self, word: usize) -> Array {
        Array::bigints(self.rows.iter().map(|write| {
            let cells = write.row.values.iter().skip(word * WORD_BITS).take(WORD_BITS);
            let bits = cells.enumerate().filter(|(_, cell)| **cell != Some(Cell::Stored));
            Some(bits.fold(0_i64, |mask, (bit, _)| mask | (1 << bit)))
        }))
    }

    pub(crate) fn attribute(&self, index: AttributeIndex) -> Array {
        let mut array = Array::new(ElementType::of(self.batch.layout.attributes[index].1));
        for write in self.rows {
            array.push_sized(self.batch.cell(index, write.row.values[index]));
        }
        array
    }
}
