//! What a group of records makes of a row that has seen nothing as new as they are: it can be
//! written without a look at the row, on the condition that this is so.

use crate::batch::{Batch, Group, Kind};
use crate::column::Array;
use crate::fold::{Cell, Write, Writes};
use records::Version;
use records::model::{AttributeIndex, Row};

/// What a group's records make of a row of which nothing is known; a value that stays is
/// [`Cell::Stored`].
fn laid_over(batch: &Batch, group: &Group) -> Row<Cell> {
    let mut row = Row::new(batch.layout.attributes.len(), Version::NEVER);
    row.values.fill(Some(Cell::Stored));
    for record in group.records.iter().map(|number| &batch.records[*number]) {
        row.apply(record.version, &batch.change(record), Version::NEVER);
    }
    row
}

impl Batch {
    /// The parameters of `Statements::same`, for groups of one whole record each.
    #[must_use]
    pub fn values(&self, groups: &[Group]) -> Vec<Array> {
        let write = |group: &Group| {
            let (record, row) = (group.records[0], laid_over(self, group));
            Write { record, xmin: None, row }
        };
        let rows: Vec<Write> = groups.iter().map(write).collect();
        let writes = Writes::new(self, &rows);
        let all = 0..self.layout.attributes.len();
        let keys = writes.keys().into_iter();
        keys.chain(writes.masks()).chain(all.map(|index| writes.attribute(index))).collect()
    }
}

/// Rows to be written on that condition, with the oldest version of each one's records.
#[derive(Debug, Default)]
pub struct Overlays {
    /// What the rows become; a value that stays is [`Cell::Stored`].
    pub writes: Vec<Write>,
    oldest: Vec<Version>,
    groups: Vec<Group>,
}

impl Overlays {
    /// Adds what a group makes of its row; `cover` is the version of the newest extent over it.
    ///
    /// # Errors
    /// The group, if what it makes of the row depends on more of the row.
    pub fn add(&mut self, batch: &Batch, group: Group, cover: Version) -> Result<(), Group> {
        let records = || group.records.iter().map(|number| &batch.records[*number]);
        let oldest = records().map(|record| record.version).min().unwrap_or_default();
        if oldest < cover || records().any(|record| matches!(record.kind, Kind::Delete)) {
            return Err(group);
        }
        let mut row = laid_over(batch, &group);
        let is_whole = row.base.is_some() && !row.values.contains(&Some(Cell::Stored));
        let is_partial = row.base.is_none() && !row.exceptions.is_empty();
        if !is_whole && !is_partial {
            // An attribute that the whole record's writer does not know keeps its version; and an
            // empty mask says nothing.
            return Err(group);
        }
        row.floor = cover;
        self.writes.push(Write { record: group.records[0], xmin: None, row });
        self.oldest.push(oldest);
        self.groups.push(group);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The parameters, in the order of `Statements::overwrite`.
    #[must_use]
    pub fn overwrite(&self, batch: &Batch) -> Vec<Array> {
        let writes = Writes::new(batch, &self.writes);
        let all = 0..batch.layout.attributes.len();
        self.keys(&writes)
            .chain(writes.registers())
            .chain(all.map(|index| writes.attribute(index)))
            .collect()
    }

    /// The parameters, in the order of [`patch`](crate::patch) of these attributes.
    #[must_use]
    pub fn patch(&self, batch: &Batch, touched: &[AttributeIndex]) -> Vec<Array> {
        let writes = Writes::new(batch, &self.writes);
        self.keys(&writes)
            .chain([writes.versions(), writes.all_exceptions()])
            .chain(writes.masks())
            .chain(touched.iter().map(|index| writes.attribute(*index)))
            .collect()
    }

    fn keys<'a>(&self, writes: &Writes<'a>) -> impl Iterator<Item = Array> + use<'a> {
        let oldest = self.oldest.iter().map(|version| Some(version.micros()));
        writes.keys().into_iter().chain([Array::bigints(oldest)])
    }

    /// The groups of which no row was written; `written` has the numbers, from one, of the others.
    #[must_use]
    pub fn rest(self, written: &[i64]) -> Vec<Group> {
        let mut is_written = vec![false; self.groups.len()];
        for number in written {
            let place = usize::try_from(number - 1).ok().and_then(|at| is_written.get_mut(at));
            place.into_iter().for_each(|place| *place = true);
        }
        let groups = self.groups.into_iter().zip(is_written);
        groups.filter(|(_, is_written)| !is_written).map(|(group, _)| group).collect()
    }
}
