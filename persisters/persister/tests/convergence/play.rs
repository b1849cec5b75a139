//! Deliveries to two members at once, and the comparison of what they leave with the model.

use crate::history::{Object, Objects, Record};
use crate::kinds::{KINDS, Kinds, NAMES};
use crate::licence;
use crate::member::{Hold, Member, Race};
use crate::random::Random;
use crate::replay::{Done, Replay, shown};
use harness::World;
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, PgConnection};
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

async fn difference(
    connection: &mut PgConnection,
    kinds: &Kinds,
    (run, log): (&str, &[Done]),
    truth: Option<&Objects>,
) -> Option<String> {
    let replay = match Replay::of(kinds, log) {
        Ok(replay) => replay,
        Err(difference) => return Some(difference),
    };
    if let Some(object) = replay.left() {
        return Some(format!("{object} was not purged"));
    }
    let view: BTreeMap<Object, Json> =
        replay.view().iter().map(|(object, values)| (*object, shown(values))).collect();
    let found = read(connection, kinds, "inventory_all", run).await;
    let table = found.iter().map(|(object, row)| (*object, registers(row))).collect();
    let found = read(connection, kinds, "inventory", run).await;
    let shown = found.iter().map(|(object, row)| (*object, values(row))).collect();
    differs("the table", &table, &replay.table())
        .or_else(|| differs("the view", &shown, &view))
        .or_else(|| {
            truth
                .filter(|truth| **truth != replay.view())
                .map(|truth| format!("the model has {:?}, the naive one {truth:?}", replay.view()))
        })
}

fn differs(
    what: &str,
    found: &BTreeMap<Object, Json>,
    wanted: &BTreeMap<Object, Json>,
) -> Option<String> {
    let mut objects = found.keys().chain(wanted.keys());
    let object = objects.find(|object| found.get(object) != wanted.get(object))?;
    let text = |row: Option<&Json>| row.map_or("no row".to_owned(), ToString::to_string);
    let (found, wanted) = (text(found.get(object)), text(wanted.get(object)));
    Some(format!("{what} has of {object}\n    {found}\nand the model\n    {wanted}"))
}

/// The rows of a run in a schema's tables or views.
pub async fn read(
    connection: &mut PgConnection,
    kinds: &Kinds,
    schema: &str,
    run: &str,
) -> BTreeMap<Object, Json> {
    let mut all = BTreeMap::new();
    for kind in 0..KINDS {
        let name = kinds.name(kind);
        if schemas::tables::columns(connection, name).await.unwrap().is_none() {
            continue;
        }
        let rows = format!(
            "SELECT source, native_id, to_jsonb(t) FROM {schema}.\"{name}\" AS t \
             WHERE source LIKE $1"
        );
        let rows: Vec<(String, String, Json)> = sqlx::query_as(AssertSqlSafe(rows))
            .bind(format!("{run}.%"))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let objects = rows.into_iter();
        all.extend(objects.map(|(source, id, row)| (Object::of_row(kind, &source, &id), row)));
    }
    all
}

/// The registers of a row of the table, in the form of the model's.
fn registers(row: &Json) -> Json {
    json!({
        "version": row["version"],
        "existence_version": row["existence_version"],
        "alive": row["alive"],
        "floor_version": row["floor_version"],
        "base_version": row["base_version"],
        "base_schema": row["base_schema"],
        "exceptions": row["exceptions"],
        "is_gone": !row["gone_at"].is_null(),
        "values": values(row),
    })
}

/// A column that no record has needed yet shows as null.
pub fn values(row: &Json) -> Json {
    Json::Object(NAMES.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect())
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
