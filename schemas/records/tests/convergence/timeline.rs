//! A persister with the licence, reading both lanes of a simulated source.

use crate::histories::KEYS;
use crate::random::Random;
use crate::source::{Live, PARTITIONS, Source};
use crate::store::{Record, Rule, Store, Values};
use std::collections::BTreeMap;

/// The persister's place in both lanes, and its rows.
struct Persister {
    store: Store,
    live: [usize; PARTITIONS],
    snapshot: [usize; PARTITIONS],
    /// What the last snapshot said of a key.
    last_snapshot: BTreeMap<&'static str, Values>,
}

/// Plays one timeline and tells what differs from the source at its end.
pub fn diverges(seed: u64, left_out: Option<Rule>) -> Option<String> {
    let mut random = Random::new(seed);
    let mode = *random.choose(&[Live::Complete, Live::Coalesced, Live::Lossy, Live::Absent]);
    let mut source = Source::new(mode, left_out);
    let mut persister = Persister::new(Store::without(left_out));
    for _ in 0..random.below(40) + 10 {
        source.step(&mut random);
        if random.once_in(2) {
            persister.step(&source, &mut random);
        }
        if let Some(text) = persister.half_a_row() {
            return Some(format!("seed {seed}: {text}"));
        }
    }
    source.settle(&mut random);
    if source.tells_everything() {
        persister.catch_up(&source, &mut random);
        let difference = persister.difference(&source);
        if difference.is_some() {
            return difference.map(|text| format!("seed {seed}, before the listing: {text}"));
        }
    }
    source.list_all();
    persister.catch_up(&source, &mut random);
    persister.difference(&source).map(|text| format!("seed {seed}, after the listing: {text}"))
}

impl Persister {
    fn new(store: Store) -> Self {
        let (live, snapshot) = ([0; PARTITIONS], [0; PARTITIONS]);
        Self { store, live, snapshot, last_snapshot: BTreeMap::new() }
    }

    fn difference(&self, source: &Source) -> Option<String> {
        let rows = self.store.view();
        (rows != source.objects).then(|| format!("{rows:?} is not that of {source:#?}"))
    }

    /// A row that is shown with attributes that nobody has told yet.
    fn half_a_row(&self) -> Option<String> {
        let mut view = self.store.view().into_iter();
        let half = view.find(|(_, values)| values.contains(&None));
        half.map(|(key, values)| format!("{key} is shown as {values:?}"))
    }

    fn catch_up(&mut self, source: &Source, random: &mut Random) {
        let behind = |at: &[usize; PARTITIONS], lane: &[Vec<Record>; PARTITIONS]| {
            at.iter().zip(lane).any(|(at, records)| *at < records.len())
        };
        while behind(&self.live, &source.live) || behind(&self.snapshot, &source.snapshot) {
            self.step(source, random);
        }
    }

    /// One batch of one partition, or a purge, or a return to an earlier offset.
    fn step(&mut self, source: &Source, random: &mut Random) {
        let partition = random.below(PARTITIONS);
        match random.below(20) {
            0 => self.live[partition] -= random.below(self.live[partition].min(4) + 1),
            1 => self.snapshot[partition] -= random.below(self.snapshot[partition].min(4) + 1),
            2 | 3 => self.store.purge(KEYS[random.below(KEYS.len())]),
            4..12 => self.live_batch(source, partition, random.below(4) + 1),
            _ => self.snapshot_batch(source, partition, random.below(4) + 1),
        }
    }

    fn live_batch(&mut self, source: &Source, partition: usize, size: usize) {
        let records = source.live[partition].iter().skip(self.live[partition]).take(size);
        for record in records {
            self.live[partition] += 1;
            if self.store.keeps(Rule::LiveIsAlwaysWritten) || !self.equals_row(record) {
                self.store.apply(record);
            }
        }
    }

    fn snapshot_batch(&mut self, source: &Source, partition: usize, size: usize) {
        let is_caught_up = self.live[partition] == source.live[partition].len()
            || !self.store.keeps(Rule::LicenceWaitsForLive);
        let records = source.snapshot[partition].iter().skip(self.snapshot[partition]).take(size);
        for record in records {
            self.snapshot[partition] += 1;
            if !(is_caught_up && self.is_nothing_new(record)) {
                self.store.apply(record);
            }
        }
    }

    /// Whether a snapshot's upsert need not be written.
    fn is_nothing_new(&mut self, record: &Record) -> bool {
        let Record::Whole { key, values, .. } = record else { return false };
        let last = self.last_snapshot.insert(key, *values);
        match self.store.keeps(Rule::CompareWithTheRow) {
            true => self.equals_row(record),
            false => last == Some(*values) && self.store.shown(key).is_some(),
        }
    }

    fn equals_row(&self, record: &Record) -> bool {
        let Record::Whole { key, values, .. } = record else { return false };
        self.store.shown(key) == Some(*values)
    }
}
