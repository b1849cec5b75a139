//! Deliveries to two members at once, and the comparison of what they leave with the model.

use crate::licence;
use crate::member::{Hold, Member, Race};
use harness::World;
use oracle::history::{Objects, Record};
use oracle::kinds::{KINDS, Kinds};
use oracle::random::Random;
use oracle::replay::{Done, Replay};
use oracle::rows::difference;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::fmt;

const MEMBERS: usize = 2;
/// A race may go well: so often a smaller delivery is tried before it counts as one that works.
const TRIES: usize = 3;

#[derive(Debug, Clone)]
pub enum Task {
    Records(Vec<Record>, Hold),
    Purge(usize, Hold),
    /// The persister starts anew.
    Forget,
}

/// What each member is given.
#[derive(Debug, Clone)]
pub struct Delivery(pub [Vec<Task>; MEMBERS]);

impl Delivery {
    /// Every record at least once, in any order, cut into batches.
    pub fn of(history: &[Record], random: &mut Random) -> Self {
        let mut records = history.to_vec();
        for _ in 0..random.below(history.len()) {
            records.push(random.choose(history).clone());
        }
        random.shuffle(&mut records);
        let mut members = <[Vec<Task>; MEMBERS]>::default();
        while !records.is_empty() {
            let tasks = &mut members[random.below(MEMBERS)];
            let hold = random.below(6);
            match random.below(12) {
                0 => tasks.push(Task::Forget),
                1 | 2 => tasks.push(Task::Purge(random.below(KINDS), hold)),
                _ => {
                    let size = (random.below(6) + 1).min(records.len());
                    tasks.push(Task::Records(records.split_off(records.len() - size), hold));
                }
            }
        }
        Self(members)
    }

    /// The same without one record or purge; `None`: there are not so many.
    fn without(&self, number: usize) -> Option<Self> {
        let mut smaller = self.clone();
        let mut left = number;
        for tasks in &mut smaller.0 {
            for place in 0..tasks.len() {
                let size =
                    if let Task::Records(records, _) = &tasks[place] { records.len() } else { 1 };
                if left >= size {
                    left -= size;
                    continue;
                }
                match &mut tasks[place] {
                    Task::Records(records, _) if size > 1 => drop(records.remove(left)),
                    _ => drop(tasks.remove(place)),
                }
                return Some(smaller);
            }
        }
        None
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub transactions: usize,
    pub overlapping: u64,
    pub purged: usize,
    pub tried_again: BTreeMap<String, u64>,
}

pub struct Bench {
    kinds: Kinds,
    members: [Member; MEMBERS],
    runs: u64,
    pub counts: Counts,
}

impl Bench {
    pub async fn start(world: &World, kinds: Kinds) -> Self {
        let members = [
            Member::start(world, &kinds.registry).await,
            Member::start(world, &kinds.registry).await,
        ];
        Self { kinds, members, runs: 0, counts: Counts::default() }
    }

    /// Goes on with other types; those before go, or extents over all types would take ever longer.
    pub async fn use_types(&mut self, kinds: Kinds) {
        let before = std::mem::replace(&mut self.kinds, kinds);
        for kind in 0..KINDS {
            let name = before.name(kind);
            let drop = format!("DROP TABLE IF EXISTS inventory_all.\"{name}\" CASCADE");
            let connection = &mut self.members[0].connection;
            sqlx::query(AssertSqlSafe(drop)).execute(connection).await.unwrap();
        }
        self.members.iter_mut().for_each(Member::forget);
    }

    /// Plays a delivery and tells what then differs from the model, or from the truth.
    pub async fn play(&mut self, delivery: &Delivery, truth: Option<&Objects>) -> Option<String> {
        self.runs += 1;
        let run = format!("run{}", self.runs);
        let race = Race::default();
        let (kinds, [first, second]) = (&self.kinds, &mut self.members);
        let [tasks, others] = &delivery.0;
        tokio::join!(
            perform(first, tasks, (&race, kinds, &run)),
            perform(second, others, (&race, kinds, &run))
        );
        for kind in 0..KINDS {
            first.purge((&race, 0), (kinds, &run), kind).await;
        }
        let log = race.log.take();
        self.counts.transactions += log.len();
        self.counts.overlapping += race.overlaps.get();
        self.counts.purged += log.iter().map(purged).sum::<usize>();
        for (failure, times) in race.failures.take() {
            *self.counts.tried_again.entry(failure).or_default() += times;
        }
        let left = Replay::of(kinds, &log).ok().and_then(|replay| replay.left().copied());
        if let Some(object) = left {
            return Some(format!("{object} was not purged"));
        }
        let difference = difference(&mut first.connection, kinds, (&run, &log), truth).await;
        let committed = || log.iter().map(ToString::to_string).collect::<Vec<_>>().join("");
        difference.map(|text| format!("{text}\ncommitted, in this order:{}", committed()))
    }

    /// A listing of the truth under the licence, after some rows were changed by hand.
    pub async fn list(&mut self, truth: &Objects, random: &mut Random) -> Option<String> {
        let run = format!("run{}", self.runs);
        licence::differs(&mut self.members[1], (&self.kinds, &run), truth, random).await
    }

    /// Leaves out what is not needed for a difference.
    pub async fn shrink(&mut self, delivery: Delivery, difference: String) -> (Delivery, String) {
        let mut smallest = (delivery, difference);
        let mut number = 0;
        while let Some(smaller) = smallest.0.without(number) {
            let mut found = None;
            for _ in 0..TRIES {
                if found.is_none() {
                    found = self.play(&smaller, None).await;
                }
            }
            match found {
                Some(difference) => smallest = (smaller, difference),
                None => number += 1,
            }
        }
        smallest
    }
}

async fn perform(member: &mut Member, tasks: &[Task], (race, kinds, run): (&Race, &Kinds, &str)) {
    for task in tasks {
        match task {
            Task::Forget => member.forget(),
            Task::Purge(kind, hold) => member.purge((race, *hold), (kinds, run), *kind).await,
            Task::Records(records, hold) => {
                let fetched: Vec<_> = records.iter().map(|r| kinds.incoming(r, run)).collect();
                member.records((race, *hold), (records, &fetched)).await;
            }
        }
    }
}

fn purged(done: &Done) -> usize {
    if let Done::Purged(objects) = done { objects.len() } else { 0 }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (member, tasks) in self.0.iter().enumerate() {
            writeln!(f, "persister {member}:")?;
            for task in tasks {
                match task {
                    Task::Records(records, hold) => {
                        writeln!(f, "  a batch, held for {hold} round trips:")?;
                        records.iter().try_for_each(|record| writeln!(f, "    {record}"))?;
                    }
                    Task::Purge(kind, _) => writeln!(f, "  purges k{kind}")?,
                    Task::Forget => writeln!(f, "  starts anew")?,
                }
            }
        }
        Ok(())
    }
}
