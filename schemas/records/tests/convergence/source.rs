//! A simulated source with its collector: what happens there, and the records that come of it.

use crate::histories::{KEYS, Objects, value, values};
use crate::random::Random;
use crate::store::{ATTRIBUTES, KeyRange, Record, Rule};
use records::Version;
use std::collections::VecDeque;

/// Partitions of each lane.
pub const PARTITIONS: usize = 3;
/// How far above the last version a lease reaches.
const LEASE: i64 = 5;
/// What a listing's pages end at.
const PAGE_ENDS: [Option<&str>; 3] = [Some("b"), Some("b0"), None];

/// How much of what happens the live stream tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// Every change.
    Complete,
    /// Only the newest state of an object since the last look.
    Coalesced,
    /// Some changes are lost.
    Lossy,
    /// Nothing.
    Absent,
}

/// Records in the order of each partition.
pub type Lane = [Vec<Record>; PARTITIONS];

/// A listing under way.
#[derive(Debug, Clone, Copy)]
struct Listing {
    version: Version,
    page: usize,
}

#[derive(Debug)]
pub struct Source {
    pub objects: Objects,
    /// What it was before its last change.
    before: Objects,
    pub live: Lane,
    pub snapshot: Lane,
    mode: Live,
    left_out: Option<Rule>,
    clock: i64,
    /// The last version that was issued, and the highest that may be.
    last: i64,
    ceiling: i64,
    /// Changes that the collector has not received yet, and those that it has.
    pending: VecDeque<Record>,
    received: Vec<Record>,
    listing: Option<Listing>,
    /// What stopped writers will still send, to the live lane and to the other one.
    zombie: Vec<(bool, Vec<Record>)>,
}

impl Source {
    pub fn new(mode: Live, left_out: Option<Rule>) -> Self {
        Self {
            objects: Objects::new(),
            before: Objects::new(),
            live: Lane::default(),
            snapshot: Lane::default(),
            mode,
            left_out,
            clock: 100,
            last: 0,
            ceiling: 0,
            pending: VecDeque::new(),
            received: Vec::new(),
            listing: None,
            zombie: Vec::new(),
        }
    }

    /// Whether the live stream alone tells everything in the end.
    pub fn tells_everything(&self) -> bool {
        matches!(self.mode, Live::Complete | Live::Coalesced)
    }

    /// One thing happens.
    pub fn step(&mut self, random: &mut Random) {
        self.clock += 1;
        match random.below(16) {
            0..6 => self.change(random),
            6..10 => self.receive(random),
            10..13 => self.list(),
            13 => self.listing = None,
            14 => self.clock -= 20,
            _ => match random.once_in(2) {
                true => self.crash(random),
                false => self.send_zombie(),
            },
        }
    }

    /// Everything that is under way arrives.
    pub fn settle(&mut self, random: &mut Random) {
        while !self.pending.is_empty() {
            self.receive(random);
        }
        while !self.zombie.is_empty() {
            self.send_zombie();
        }
    }

    /// A whole listing while nothing moves.
    pub fn list_all(&mut self) {
        self.listing = None;
        self.before.clone_from(&self.objects);
        (0..=PAGE_ENDS.len()).for_each(|_| self.list());
    }

    /// An object appears, changes or goes.
    fn change(&mut self, random: &mut Random) {
        self.before.clone_from(&self.objects);
        let key = KEYS[random.below(KEYS.len())];
        let version = Version::NEVER;
        let Some(object) = self.objects.get_mut(key) else {
            let values = values(random);
            self.objects.insert(key, values);
            return self.pending.push_back(Record::whole(key, version, values));
        };
        let index = random.below(ATTRIBUTES);
        self.pending.push_back(match random.below(3) {
            0 => Record::Delete { key, version },
            1 => {
                object[index] = Some(value(random));
                Record::Partial { key, version, values: vec![(index, object[index])] }
            }
            _ => {
                object[index] = Some(value(random));
                Record::whole(key, version, *object)
            }
        });
        if let Some(Record::Delete { .. }) = self.pending.back() {
            self.objects.remove(key);
        }
    }

    /// The collector receives the next change, or not.
    fn receive(&mut self, random: &mut Random) {
        let Some(change) = self.pending.pop_front() else { return };
        let change = match self.mode {
            Live::Absent => return,
            Live::Lossy if random.once_in(3) => return,
            Live::Coalesced => self.newest_state(change.key()),
            Live::Complete | Live::Lossy => change,
        };
        let record = change.clone().at(self.issue());
        self.received.push(change);
        append(&mut self.live, record);
    }

    fn newest_state(&mut self, key: &'static str) -> Record {
        self.pending.retain(|other| other.key() != key);
        let version = Version::NEVER;
        self.objects
            .get(key)
            .map_or(Record::Delete { key, version }, |values| Record::whole(key, version, *values))
    }

    /// Begins a listing by taking its version, or reads its next page.
    fn list(&mut self) {
        let Some(listing) = self.listing else {
            let version = self.issue();
            self.listing = Some(Listing { version, page: 0 });
            return;
        };
        let version = match self.left_out {
            Some(Rule::ListingVersionFirst) => self.issue(),
            _ => listing.version,
        };
        for record in self.page(listing.page, version) {
            append(&mut self.snapshot, record);
        }
        let page = listing.page + 1;
        self.listing = (page < PAGE_ENDS.len()).then_some(Listing { page, ..listing });
    }

    /// A page's upserts, and then its extent. A version taken with the reply may be newer than
    /// what the reply says.
    fn page(&self, page: usize, version: Version) -> Vec<Record> {
        let from = page.checked_sub(1).and_then(|before| PAGE_ENDS[before]).unwrap_or_default();
        let range = KeyRange { from, to: PAGE_ENDS[page] };
        let objects = match self.left_out {
            Some(Rule::ListingVersionFirst) => &self.before,
            _ => &self.objects,
        };
        let inside = objects.iter().filter(|(key, _)| range.contains(key));
        let mut records: Vec<Record> =
            inside.map(|(key, values)| Record::whole(key, version, *values)).collect();
        let keys = records.iter().map(Record::key).collect();
        records.push(Record::Extent { range, version, keys });
        records
    }

    /// The writer is replaced. The new one starts above the old one's ceiling and resumes a little
    /// before where the old one was; what that one had under way may still come.
    fn crash(&mut self, random: &mut Random) {
        let mut late = Vec::new();
        for change in self.pending.iter().take(random.below(3)) {
            if self.last < self.ceiling && self.mode == Live::Complete {
                self.last += 1;
                late.push(change.clone().at(Version::from_micros(self.last)));
            }
        }
        self.zombie.push((true, late));
        if let Some(listing) = self.listing.take() {
            self.zombie.push((false, self.page(listing.page, listing.version)));
        }
        let again = random.below(3).min(self.received.len());
        for change in self.received.split_off(self.received.len() - again).into_iter().rev() {
            self.pending.push_front(change);
        }
        let leased = self.left_out != Some(Rule::VersionsAreLeased);
        self.last = if leased { self.ceiling } else { 0 };
    }

    fn send_zombie(&mut self) {
        let Some((live, records)) = self.zombie.pop() else { return };
        let lane = if live { &mut self.live } else { &mut self.snapshot };
        records.into_iter().for_each(|record| append(lane, record));
    }

    fn issue(&mut self) -> Version {
        self.last = (self.last + 1).max(self.clock);
        if self.last > self.ceiling {
            self.ceiling = self.last + LEASE;
        }
        Version::from_micros(self.last)
    }
}

fn append(lane: &mut Lane, record: Record) {
    let partition =
        KEYS.iter().position(|key| *key == record.key()).map_or(0, |at| at % PARTITIONS);
    lane[partition].push(record);
}
