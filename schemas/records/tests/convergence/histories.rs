//! Histories that keep the collectors' duties, delivered in any order, against the naive model.

use crate::random::Random;
use crate::store::{ATTRIBUTES, KeyRange, Record, Rule, Store, Values};
use records::Version;
use std::collections::BTreeMap;

pub const KEYS: [&str; 4] = ["a", "b", "b/x", "c"];
/// How many schemas the writers of live records have.
const NARROW: usize = 2;
const BORDERS: [&str; 5] = ["", "a", "b", "b/", "c"];

/// What the naive model holds: living objects with their values.
pub type Objects = BTreeMap<&'static str, Values>;

/// Makes one history, delivers it, and tells what differs.
pub fn diverges(seed: u64, left_out: Option<Rule>) -> Option<String> {
    let mut random = Random::new(seed);
    let (history, truth) = history(&mut random);
    let mut delivery = history.clone();
    for _ in 0..random.below(history.len()) {
        delivery.push(random.choose(&history).clone());
    }
    random.shuffle(&mut delivery);
    let mut store = Store::without(left_out);
    for record in &delivery {
        store.apply(record);
        if random.once_in(4) {
            store.purge(KEYS[random.below(KEYS.len())]);
        }
    }
    let rows = store.view();
    (rows != truth).then(|| {
        format!(
            "seed {seed}: {rows:?} is not {truth:?}\nhistory: {history:#?}\ndelivery: {delivery:#?}"
        )
    })
}

/// A history by ascending version, and the objects that the naive model ends with.
fn history(random: &mut Random) -> (Vec<Record>, Objects) {
    let mut truth = Objects::new();
    let mut history = Vec::new();
    for moment in 1..random.below(9) + 3 {
        let version = Version::from_micros(i64::try_from(moment).expect("small"));
        let records = records(random, version, &truth);
        records.iter().for_each(|record| naive(&mut truth, record));
        history.extend(records);
    }
    (history, truth)
}

/// What a collector says of one moment.
fn records(random: &mut Random, version: Version, known: &Objects) -> Vec<Record> {
    let key = *random.choose(&KEYS);
    match random.below(6) {
        0 | 1 => {
            let (values, touched) = (values(random), ATTRIBUTES - random.below(NARROW));
            vec![Record::Whole { key, version, values, touched }]
        }
        2 if known.contains_key(key) => {
            let values = vec![(random.below(ATTRIBUTES), Some(value(random)))];
            vec![Record::Partial { key, version, values }]
        }
        2 | 3 => vec![Record::Delete { key, version }],
        _ => listing(random, version),
    }
}

/// Upserts of some keys and the extent that lists them.
fn listing(random: &mut Random, version: Version) -> Vec<Record> {
    let range = range(random);
    let inside = KEYS.into_iter().filter(|key| range.contains(key));
    let keys: Vec<&'static str> = inside.filter(|_| random.once_in(2)).collect();
    let upserts = keys.iter().map(|key| Record::whole(key, version, values(random)));
    let mut records: Vec<Record> = upserts.collect();
    records.push(Record::Extent { range, version, keys });
    records
}

fn range(random: &mut Random) -> KeyRange {
    let from = random.below(BORDERS.len());
    let to = from + 1 + random.below(BORDERS.len());
    KeyRange { from: BORDERS[from], to: BORDERS.get(to).copied() }
}

pub fn value(random: &mut Random) -> u8 {
    u8::try_from(random.below(3)).expect("below 3")
}

pub fn values(random: &mut Random) -> Values {
    std::array::from_fn(|_| Some(value(random)))
}

/// The naive model: records in the order of their versions, each doing what it says.
fn naive(objects: &mut Objects, record: &Record) {
    match record {
        Record::Whole { key, values, touched, .. } => {
            let object = objects.entry(key).or_default();
            object[..*touched].copy_from_slice(&values[..*touched]);
        }
        Record::Partial { key, values, .. } => {
            let object = objects.get_mut(key).expect("only of living objects");
            values.iter().for_each(|(index, value)| object[*index] = *value);
        }
        Record::Delete { key, .. } => {
            objects.remove(key);
        }
        Record::Extent { range, keys, .. } => {
            objects.retain(|key, _| !range.contains(key) || keys.contains(key));
        }
    }
}
