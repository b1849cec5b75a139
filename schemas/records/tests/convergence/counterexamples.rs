//! Histories that once went wrong, the smallest form of each.

use crate::store::{ATTRIBUTES, KeyRange, Record, Store, Values};
use records::Version;

const FIRST: Values = [Some(1); ATTRIBUTES];
const SECOND: Values = [Some(2); ATTRIBUTES];

fn at(version: i64) -> Version {
    Version::from_micros(version)
}

fn nothing_exists(version: i64) -> Record {
    Record::Extent { range: KeyRange { from: "", to: None }, version: at(version), keys: vec![] }
}

/// An attribute that the second life's writer doesn't know must not stay from the first one.
#[test]
fn a_late_extent_voids_the_life_before_the_row_was_made_again() {
    let mut store = Store::default();
    store.apply(&Record::whole("c", at(5), FIRST));
    store.apply(&Record::Whole { key: "c", version: at(7), values: SECOND, touched: 2 });
    store.apply(&nothing_exists(6));
    assert_eq!(store.shown("c"), Some([Some(2), Some(2), None]));
}

/// A tombstone may hold an attribute of the next life, which came before that life's upsert.
#[test]
fn a_tombstone_with_a_value_newer_than_the_extent_stays() {
    let mut store = Store::default();
    store.apply(&Record::Delete { key: "a", version: at(2) });
    store.apply(&Record::Partial { key: "a", version: at(9), values: vec![(1, Some(2))] });
    store.apply(&nothing_exists(7));
    store.purge("a");
    store.apply(&Record::whole("a", at(8), FIRST));
    assert_eq!(store.shown("a"), Some([Some(1), Some(2), Some(1)]));
}
