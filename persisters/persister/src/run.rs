//! All lanes of one member of the group: threads, tasks, and who owns what.

use crate::dead_letters::DeadLetters;
use crate::error::PersistError;
use crate::express::Express;
use crate::lag;
use crate::lane::Lane;
use crate::metrics::{Lane as LaneName, Metrics};
use crate::purge::Purger;
use crate::quiet::Traffic;
use crate::settings::Settings;
use catalog::Types;
use chassis::Health;
use history::Upkeep;
use positions::{Keeper, Member, Owner, Ownership, Progress, Readers, Refresh};
use records::{Topic, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::{Admin, Event, GroupOptions, KafkaProblem, KeyFilter, Reader, Registry};

/// What must be well before the persister is ready.
pub const COMPONENTS: [&str; 2] = ["group", "database"];

/// The lanes beside the live one: their partitions come and go with its, number by number.
const BESIDE: [(LaneName, Topic); 3] = [
    (LaneName::Snapshot, Topic::InventorySnapshot),
    (LaneName::Events, Topic::Events),
    (LaneName::Metrics, Topic::Metrics),
];

/// How long partitions may be without an owner before this member leaves the group and joins anew
/// for them; each time the next one is twice as far away, as far as the most.
const PATIENCE: Duration = Duration::from_secs(15);
const PATIENCE_MAX: Duration = Duration::from_mins(10);

/// A lane's reader: its thread, and what it fetches.
struct Opened {
    name: LaneName,
    owner: Owner,
    reader: Reader,
    /// One for each of its connections.
    events: Vec<mpsc::Receiver<Event>>,
}

/// Runs all lanes until `stop`.
///
/// Kafka fences a member when another one joins under its lasting name. To Kafka that is also the
/// member itself, which has joined again after an outage while its client still repeats a commit of
/// before: then it begins anew. So it does when topics turn out to have other logs, because Kafka's
/// clients hold on to the old ones, and when what an earlier start of it had is nobody's.
///
/// # Errors
/// What a person must mend; everything else is tried again.
pub async fn run(
    settings: &Settings,
    metrics: &Metrics,
    health: &Health,
    stop: CancellationToken,
) -> Result<(), PersistError> {
    let member = Member {
        group: settings.group.clone(),
        instance: settings.instance.clone(),
        started: Version::now(),
    };
    let mut patience = PATIENCE;
    loop {
        let joined = (&member, patience);
        let ended = run_as(joined, settings, (metrics, health), stop.child_token()).await;
        patience = PATIENCE_MAX.min(2 * patience);
        match ended {
            _ if stop.is_cancelled() => return ended,
            Ok(()) => tracing::warn!("joining the group anew"),
            Err(PersistError::Kafka(KafkaProblem::NameTaken))
                if !is_replaced(&member, settings).await =>
            {
                tracing::warn!(
                    "Kafka has fenced this member, and none has replaced it; joining anew"
                );
            }
            Err(_) => return ended,
        }
    }
}

/// Without an answer it is not: then Kafka fences it again.
async fn is_replaced(member: &Member, settings: &Settings) -> bool {
    let asked = async {
        let mut connection = schemas::database::connect_one(&settings.database).await?;
        member.is_replaced(&mut connection).await
    };
    asked.await.unwrap_or_else(|error| {
        tracing::warn!("{}", chassis::exit::chain(&error));
        false
    })
}

async fn run_as(
    member: (&Member, Duration),
    settings: &Settings,
    (metrics, health): (&Metrics, &Health),
    stop: CancellationToken,
) -> Result<(), PersistError> {
    let registry = Registry::new(&settings.registry)?;
    let keeper = Keeper {
        admin: Admin::new(&settings.kafka, &settings.group)?,
        refresh: Refresh { kafka: settings.kafka.clone(), registry: registry.clone() },
        readers: Readers::new(stop.clone()),
    };
    let letters = DeadLetters::new(&settings.kafka)?;
    let opened = open(member, settings, &keeper, (health, &stop))?;
    let progress = |lane: &Opened| Progress::new(lane.owner.topic.clone(), keeper.admin.clone());
    let progresses: Vec<Progress> = opened.iter().map(progress).collect();
    let (live, group) = (progresses[0].clone(), opened[0].reader.handle());
    let (mut lanes, mut readers) = (JoinSet::new(), Vec::new());
    for (Opened { name, owner, reader, events }, progress) in opened.into_iter().zip(&progresses) {
        for (number, events) in events.into_iter().enumerate() {
            let lane = Lane {
                name,
                number,
                owner: owner.clone(),
                database: settings.database.clone(),
                reader: reader.handle(),
                group: group.clone(),
                types: Types::new(registry.clone()),
                dead_letters: letters.clone(),
                metrics: metrics.clone(),
                keeper: keeper.clone(),
                health: health.clone(),
                progress: progress.of_connection(number),
                live: live.clone(),
                batch_records: settings.batch_records,
                history: settings.history,
            };
            lanes.spawn(lane.run(events, stop.clone()));
        }
        readers.push(reader);
    }
    let watched = catalog::watch(registry.clone(), stop.clone());
    lanes.spawn(async { Ok(watched.await?) });
    let (express, reader, events) = express(settings, registry, (metrics, &live))?;
    lanes.spawn(express.run(events, stop.clone()));
    readers.push(reader);
    lanes.spawn(lag::measure(progresses, metrics.clone(), stop.clone()));
    lanes.spawn(purger(settings, metrics).run(stop.clone()));
    let upkeep = Upkeep { database: settings.database.clone(), settings: settings.history };
    let stopped = stop.clone();
    lanes.spawn(async {
        upkeep.run(stopped).await;
        Ok(())
    });
    let result = until_all_have_ended(lanes, &stop).await;
    // The threads are joined beside the tasks, because joining blocks.
    let readers = tokio::task::spawn_blocking(move || drop(readers));
    result.and(readers.await.map_err(PersistError::Lane))
}

fn options(settings: &Settings) -> GroupOptions {
    GroupOptions {
        group: settings.group.clone(),
        instance_id: settings.instance.clone(),
        queue_kibibytes_max: settings.queue_kibibytes_max,
        channels: settings.connections,
        filter: None,
    }
}

/// What carries quiet sources past a backlog, its reader, and what that will read.
fn express(
    settings: &Settings,
    registry: Registry,
    (metrics, live): (&Metrics, &Progress),
) -> Result<(Express, Reader, mpsc::Receiver<Event>), PersistError> {
    let traffic = Arc::new(Traffic::default());
    let counts = Arc::clone(&traffic);
    let filter: KeyFilter = Arc::new(move |key| counts.is_quiet(key));
    let options = GroupOptions { channels: 1, filter: Some(filter), ..options(settings) };
    let (reader, mut events) = Reader::of_partitions(&settings.kafka, live.topic(), &options)?;
    let express = Express {
        database: settings.database.clone(),
        reader: reader.handle(),
        traffic,
        live: live.clone(),
        types: Types::new(registry),
        metrics: metrics.clone(),
        batch_records: settings.batch_records,
    };
    Ok((express, reader, events.remove(0)))
}

/// Starts the readers; the live one, which joins the group, comes first.
fn open(
    (member, patience): (&Member, Duration),
    settings: &Settings,
    keeper: &Keeper,
    (health, stop): (&Health, &CancellationToken),
) -> Result<Vec<Opened>, PersistError> {
    let owner = |topic| Owner { topic: settings.kafka.topic(topic), member: member.to_string() };
    let options = options(settings);
    let mut beside = Vec::new();
    for (name, topic) in BESIDE {
        let owner = owner(topic);
        let (reader, events) = Reader::of_partitions(&settings.kafka, &owner.topic, &options)?;
        beside.push(Opened { name, owner, reader, events });
    }
    let (name, owner) = (LaneName::Live, owner(Topic::InventoryLive));
    let ownership = Arc::new(Ownership {
        runtime: Handle::current(),
        database: settings.database.clone(),
        member: member.clone(),
        patience,
        live: owner.clone(),
        beside: beside.iter().map(|lane| (lane.owner.clone(), lane.reader.handle())).collect(),
        keeper: keeper.clone(),
        health: health.clone(),
        stop: stop.clone(),
    });
    let (reader, events) = Reader::of_group(&settings.kafka, &owner.topic, &options, ownership)?;
    Ok([Opened { name, owner, reader, events }].into_iter().chain(beside).collect())
}

fn purger(settings: &Settings, metrics: &Metrics) -> Purger {
    Purger {
        database: settings.database.clone(),
        every: settings.purge_every,
        retention: settings.tombstone_retention,
        metrics: metrics.clone(),
    }
}

/// The end of one task stops all others.
async fn until_all_have_ended(
    mut tasks: JoinSet<Result<(), PersistError>>,
    stop: &CancellationToken,
) -> Result<(), PersistError> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        stop.cancel();
        result = result.and(ended.unwrap_or_else(|panic| Err(PersistError::Lane(panic))));
    }
    result
}
