//! What random histories reach too seldom.

use crate::MIGRATED;
use crate::member::{Member, Race};
use crate::play::{Bench, Delivery, Task};
use harness::World;
use oracle::history::{KeyRange, Object, Objects, Place, Record, Target, at};
use oracle::kinds::{Kinds, NAMES, WIDTHS};
use oracle::replay::shown;
use oracle::rows::{read, values as values_of};
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;

/// New types for every race: so many.
const RACES: u64 = 10;
/// The extent's transaction stays open until the other member has met the type and applied.
const LONG: usize = 500;

const PLACE: Place = Place { source: 0, kind: 0 };

fn object(key: &'static str) -> Object {
    Object { place: PLACE, key }
}

fn whole(key: &'static str, version: i64) -> Record {
    Record::Whole { object: object(key), version, schema: 0, values: vec![Some(1), None] }
}

/// A tombstone may hold a value of the next life, which came before that life's upsert.
#[tokio::test]
async fn a_tombstone_with_a_value_newer_than_the_extent_stays() {
    let world = World::start("newer-value", &MIGRATED).await.unwrap();
    let mut bench = Bench::start(&world, Kinds::register(&world, 30_000).await).await;
    let (version, values) = (9, vec![(1, Some(2))]);
    let (target, range) = (Target::Type(PLACE), KeyRange::ALL);
    let records = [
        whole("a", 1),
        Record::Delete { object: object("a"), version: 2 },
        Record::Partial { object: object("a"), version, schema: 0, values },
        Record::Extent { target, range, version: 7, keys: vec![] },
    ];
    let tasks = vec![
        Task::Records(records.to_vec(), 0),
        Task::Purge(PLACE.kind, 0),
        Task::Records(vec![whole("a", 8)], 0),
    ];
    let truth = Objects::from([(object("a"), [Some(1), Some(2), None, None])]);
    assert_eq!(bench.play(&Delivery([tasks, vec![]]), Some(&truth)).await, None);
}

/// After a batch of new keys the next one is copied without a look at the table. What an extent
/// covers and is new would be dropped; here it is not new.
#[tokio::test]
async fn what_an_extent_covers_is_not_dropped_as_new_beside_new_keys() {
    const NEW: [&str; 32] = [
        "b00", "b01", "b02", "b03", "b04", "b05", "b06", "b07", "b08", "b09", "b10", "b11", "b12",
        "b13", "b14", "b15", "c00", "c01", "c02", "c03", "c04", "c05", "c06", "c07", "c08", "c09",
        "c10", "c11", "c12", "c13", "c14", "c15",
    ];
    let world = World::start("covered", &MIGRATED).await.unwrap();
    let mut bench = Bench::start(&world, Kinds::register(&world, 80_000).await).await;
    let (target, range) = (Target::Type(PLACE), KeyRange::ALL);
    let extent = Record::Extent { target, range, version: 10, keys: vec!["a"] };
    let new = |keys: &[&'static str]| keys.iter().map(|key| whole(key, 20)).collect::<Vec<_>>();
    let later = [new(&NEW[16..]), vec![whole("a", 5)]].concat();
    let tasks = vec![
        Task::Records(vec![whole("a", 1), extent], 0),
        Task::Records(new(&NEW[..16]), 0),
        Task::Records(later, 0),
    ];
    assert_eq!(bench.play(&Delivery([tasks, vec![]]), None).await, None);
}

/// The values that object a has when one member has widened the table with a record, and the other
/// writes a whole record without having heard of that.
async fn widened_by(number: u64, record: Record) -> Json {
    let world = World::start("widened", &MIGRATED).await.unwrap();
    let kinds = Kinds::register(&world, number).await;
    let mut members = [
        Member::start(&world, &kinds.registry).await,
        Member::start(&world, &kinds.registry).await,
    ];
    let turns =
        [(0, whole("a", 1)), (1, whole("a", 2)), (0, record), (1, whole("a", 10)), (0, wide(8, 0))];
    for (member, record) in turns {
        let fetched = [kinds.incoming(&record, "r")];
        members[member].records((&Race::default(), 0), (&[record], &fetched)).await;
    }
    let view = read(&mut members[0].connection, &kinds, "inventory", "r").await;
    values_of(&view[&object("a")])
}

fn wide(version: i64, code: u32) -> Record {
    let values = vec![Some(code); NAMES.len()];
    Record::Whole { object: object("a"), version, schema: WIDTHS.len() - 1, values }
}

#[tokio::test]
async fn a_table_widened_by_another_member_keeps_its_exceptions() {
    let (schema, labels) = (WIDTHS.len() - 1, NAMES.len() - 1);
    let values = vec![(labels, Some(2))];
    let partial = Record::Partial { object: object("a"), version: 9, schema, values };
    let wanted = shown(&[Some(1), None, Some(0), Some(2)]);
    assert_eq!(widened_by(40_000, partial).await, wanted);
}

#[tokio::test]
async fn a_table_widened_by_another_member_keeps_its_versions() {
    let wanted = shown(&[Some(1), None, Some(2), Some(2)]);
    assert_eq!(widened_by(50_000, wide(9, 2)).await, wanted);
}

#[tokio::test]
async fn an_object_that_is_made_again_begins_at_the_newest_extent() {
    let world = World::start("again", &MIGRATED).await.unwrap();
    let mut bench = Bench::start(&world, Kinds::register(&world, 60_000).await).await;
    let (target, range) = (Target::Type(PLACE), KeyRange::ALL);
    let records = [
        wide(1, 0),
        Record::Delete { object: object("a"), version: 2 },
        Record::Extent { target, range, version: 7, keys: vec![] },
        wide(9, 1),
    ];
    let tasks = records.map(|record| Task::Records(vec![record], 0)).to_vec();
    assert_eq!(bench.play(&Delivery([tasks, vec![]]), None).await, None);
}

#[tokio::test]
async fn the_end_of_a_source_reaches_a_type_that_is_just_met() {
    let world = World::start("source-end", &MIGRATED).await.unwrap();
    let mut bench = Bench::start(&world, Kinds::register(&world, 10_000).await).await;
    let (target, range) = (Target::Source(PLACE.source), KeyRange::ALL);
    let end = Record::Extent { target, range, version: 9, keys: vec![] };
    let end = vec![Task::Records(vec![end], LONG)];
    let delivery = Delivery([end, vec![Task::Records(vec![whole("a", 5)], 0)]]);
    for race in 1..=RACES {
        assert_eq!(bench.play(&delivery, None).await, None);
        bench.use_types(Kinds::register(&world, 10_000 + race).await).await;
    }
}

#[tokio::test]
async fn a_tombstone_stays_while_the_topics_may_hold_older_records() {
    let world = World::start("retention", &MIGRATED).await.unwrap();
    let kinds = Kinds::register(&world, 20_000).await;
    let mut member = Member::start(&world, &kinds.registry).await;
    let delete = |key, version| Record::Delete { object: object(key), version };
    let living = whole("b/x", 1);
    let records = [whole("a", 1), living, delete("a", 2), delete("b", 2), delete("c", 9)];
    let fetched: Vec<_> = records.iter().map(|record| kinds.incoming(record, "r")).collect();
    member.records((&Race::default(), 0), (&records, &fetched)).await;

    let name = kinds.name(PLACE.kind).as_str();
    let long_gone = format!(
        "UPDATE inventory_all.\"{name}\" SET gone_at = '1999-12-31' WHERE native_id <> 'b'"
    );
    sqlx::query(AssertSqlSafe(long_gone)).execute(&mut member.connection).await.unwrap();
    let purged = inventory::purge(&mut member.connection, name, at(5)).await.unwrap();
    let ids: Vec<&str> = purged.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids, ["a"], "b has gone since, and c's version is newer");
}

/// A plan is kept while the table that it was made for grows.
#[tokio::test]
async fn rows_of_a_new_table_are_looked_up_by_their_keys() {
    let world = World::start("new-table", &MIGRATED).await.unwrap();
    let kinds = Kinds::register(&world, 90_000).await;
    let mut member = Member::start(&world, &kinds.registry).await;
    let record = whole("a", 1);
    let fetched = [kinds.incoming(&record, "r")];
    member.records((&Race::default(), 0), (&[record], &fetched)).await;
    for plan in member.plans(kinds.name(PLACE.kind)).await {
        assert!(plan.contains("Nested Loop") && plan.contains("_pkey on"), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
