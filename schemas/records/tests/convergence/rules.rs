//! Rules that no history which keeps the duties needs, or that it can't show.

use crate::store::{ATTRIBUTES, KeyRange, Record, Store, Values};
use records::Version;

const VALUES: Values = [Some(1); ATTRIBUTES];

fn at(version: i64) -> Version {
    Version::from_micros(version)
}

fn extent(version: i64, keys: Vec<&'static str>) -> Record {
    Record::Extent { range: KeyRange { from: "", to: None }, version: at(version), keys }
}

fn after(records: &[Record]) -> Store {
    let mut store = Store::default();
    records.iter().for_each(|record| store.apply(record));
    store
}

#[test]
fn on_equal_versions_alive_wins() {
    let whole = Record::whole("a", at(5), VALUES);
    for end in [extent(5, vec![]), Record::Delete { key: "a", version: at(5) }] {
        let orders = [[whole.clone(), end.clone()], [end, whole.clone()]];
        for order in orders {
            assert_eq!(after(&order).shown("a"), Some(VALUES), "{order:?}");
        }
    }
}

/// The extent says that the object lives; what it held is told by its tombstone.
#[test]
fn a_revival_by_an_extent_brings_the_values_back_and_takes_late_ones() {
    let dead = [Record::whole("a", at(2), VALUES), extent(4, vec![]), extent(6, vec!["a"])];
    assert_eq!(after(&dead).shown("a"), Some(VALUES));
    let late = Record::Partial { key: "a", version: at(3), values: vec![(0, Some(7))] };
    let [first, second, third] = dead;
    let store = after(&[first, second, third, late]);
    assert_eq!(store.shown("a").unwrap()[0], Some(7));
}

#[test]
fn a_listed_object_shows_only_once_it_was_seen_whole() {
    let partial = Record::Partial { key: "a", version: at(2), values: vec![(0, Some(7))] };
    let listed = [partial, extent(4, vec!["a"])];
    assert_eq!(after(&listed).shown("a"), None);
    let [partial, extent] = listed;
    let store = after(&[partial, extent, Record::whole("a", at(4), VALUES)]);
    assert_eq!(store.shown("a"), Some(VALUES));
}

/// A row that only partial updates have made is a tombstone, too, once an extent says so.
#[test]
fn a_row_never_seen_whole_is_purged_under_a_newer_extent() {
    let partial = Record::Partial { key: "a", version: at(2), values: vec![(0, Some(7))] };
    let mut store = after(&[partial, extent(4, vec![])]);
    store.purge("a");
    assert!(store.rows.contains_key("a"), "its death is as old as the extent");
    store.apply(&extent(5, vec![]));
    store.purge("a");
    assert!(store.rows.is_empty());
}
