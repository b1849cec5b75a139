//! What is done to the rows: which objects are sent, in which order, with which values.

use clap::ValueEnum;
use records::{Topic, Version};
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;

/// How many updates each object of [`Workload::Hot`] gets.
const UPDATES: u64 = 10;

/// How many objects of [`Workload::Hot`] are busy at a time: the next ones come when these have got
/// all of their updates.
const BUSY: u64 = 100;

/// A prime larger than any number of objects: its multiples visit all of them, in no order. It is
/// Knuth's, near the golden ratio of 2^32; its rest by a round number is far from zero, otherwise
/// they would be visited in steps of some objects, page after page.
const STRIDE: u64 = 2_654_435_761;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// All objects, into a table without rows.
    Load,
    /// All objects again, as they are.
    Unchanged,
    /// All objects again; one of a hundred has changed.
    Changed,
    /// Two attributes of every object.
    Partial,
    /// Ten updates of each tenth object, close together.
    Hot,
}

/// One record: an object, and how often it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The object's number.
    pub object: u64,
    /// The changes so far.
    pub changes: u64,
    /// The record's version.
    pub version: Version,
}

impl Workload {
    /// How people read it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Load => "initial load",
            Self::Unchanged => "nothing changed",
            Self::Changed => "1 % changed",
            Self::Partial => "partial updates (2 of 20)",
            Self::Hot => "10 updates per key",
        }
    }

    /// The lane on which ours get it.
    #[must_use]
    pub const fn lane(self) -> Topic {
        match self {
            Self::Load | Self::Unchanged | Self::Changed => Topic::InventorySnapshot,
            Self::Partial | Self::Hot => Topic::InventoryLive,
        }
    }

    /// Whether records touch only some attributes.
    #[must_use]
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::Partial)
    }

    /// Whether the rows are there before.
    #[must_use]
    pub const fn starts_loaded(self) -> bool {
        !matches!(self, Self::Load)
    }

    /// How many objects so many records are about.
    #[must_use]
    pub const fn objects(self, records: u64) -> u64 {
        match self {
            Self::Hot => records / UPDATES,
            _ => records,
        }
    }

    /// The version of its first record; `epoch` is that of the load's.
    #[must_use]
    pub fn first_version(self, epoch: Version) -> Version {
        epoch.plus(Duration::from_mins(self as u64))
    }

    /// The smallest version that an object has after all records.
    #[must_use]
    pub fn last_versions(self, records: u64, epoch: Version) -> Version {
        let last_turn = records / self.objects(records) - 1;
        self.first_version(epoch).plus(Duration::from_micros(last_turn * records))
    }

    /// The records, in the order in which they are sent.
    pub fn items(self, records: u64, epoch: Version) -> impl Iterator<Item = Item> {
        self.part(self.objects(records), 0..records, epoch)
    }

    /// Some of the records that there are of so many objects; they never end, because after the
    /// last object comes the first one again. A listing comes in the order of numbers and has one
    /// version; live updates come in no order, each with its own.
    pub fn part(
        self,
        objects: u64,
        range: Range<u64>,
        epoch: Version,
    ) -> impl Iterator<Item = Item> {
        let first = self.first_version(epoch);
        range.map(move |index| {
            let (object, turn) = match self {
                Self::Hot => busy(objects, index),
                _ => (index % objects, index / objects),
            };
            let version = first.plus(Duration::from_micros(turn));
            match self {
                Self::Load | Self::Unchanged => Item { object, changes: 0, version },
                Self::Changed => Item { object, changes: u64::from(index % 100 == 0), version },
                Self::Partial => Item {
                    object: index.wrapping_mul(STRIDE) % objects,
                    changes: 1 + turn,
                    version: first.plus(Duration::from_micros(index)),
                },
                Self::Hot => Item {
                    object: object.wrapping_mul(STRIDE) % objects,
                    changes: 1 + turn,
                    // Those of a turn are newer than those of all turns before.
                    version: first.plus(Duration::from_micros(turn * objects * UPDATES + index)),
                },
            }
        })
    }
}

/// Which object a record of hot keys is about, and how many it has had before.
const fn busy(objects: u64, index: u64) -> (u64, u64) {
    let first = index / (BUSY * UPDATES) * BUSY;
    let rest = objects.saturating_sub(first);
    let count = if rest < BUSY { rest } else { BUSY };
    let place = index - first * UPDATES;
    (first + place % count, place / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn hot_keys_get_ten_updates_each_and_others_one_record() {
        for workload in Workload::value_variants() {
            let mut updates = BTreeMap::<u64, Vec<Item>>::new();
            let (records, epoch) = (1_250, Version::from_micros(0));
            for item in workload.items(records, epoch) {
                updates.entry(item.object).or_default().push(item);
            }
            assert_eq!(updates.len() as u64, workload.objects(records));
            let each = if *workload == Workload::Hot { 10 } else { 1 };
            let last = workload.last_versions(records, epoch);
            for of_object in updates.values() {
                assert_eq!(of_object.len(), each);
                assert!(of_object.is_sorted_by(|a, b| a.version < b.version));
                assert!(of_object.is_sorted_by(|a, b| a.changes < b.changes));
                let newest = of_object.iter().filter(|item| item.version >= last);
                assert_eq!(newest.count(), 1, "{of_object:?}");
            }
        }
    }

    #[test]
    fn live_updates_of_a_batch_lie_all_over_the_table() {
        for objects in [20_000, 100_000, 200_000, 1_000_000, 10_000_000] {
            let batch = Workload::Partial.part(objects, 0..5_000, Version::from_micros(0));
            let tenths: BTreeSet<u64> = batch.map(|item| item.object * 10 / objects).collect();
            assert_eq!(tenths.len(), 10, "{objects}");
        }
    }

    #[test]
    fn the_next_listing_has_a_version_of_its_own() {
        let items: Vec<_> = Workload::Unchanged.part(10, 8..12, Version::from_micros(0)).collect();
        assert_eq!(items.iter().map(|item| item.object).collect::<Vec<_>>(), [8, 9, 0, 1]);
        assert!(items[0].version == items[1].version && items[1].version < items[2].version);
    }
}
