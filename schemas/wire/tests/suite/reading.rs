//! How a reader shares itself between the partitions of a backlog.

use crate::settings;
use harness::SecuredKafka;
use records::Partition;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use wire::{
    Admin, Event, GroupOptions, KafkaProblem, KafkaSettings, Outgoing, PartitionStart, Publisher,
    Reader, TopicSpec,
};

const TOPIC: &str = "backlog";
const PARTITIONS: i32 = 8;
const RECORDS: u64 = 200_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Payloads that hardly compress: else a whole partition would come with one fetch.
async fn publish(settings: &KafkaSettings) -> Result<(), KafkaProblem> {
    let publisher = Publisher::new(settings)?;
    let mut noise = 1_u64;
    for number in 0..RECORDS {
        let payload = (0..20).flat_map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()
        });
        let (key, payload) = (Some(number.to_string().into()), Some(payload.collect()));
        let outgoing = Outgoing { topic: TOPIC.to_owned(), key, payload, headers: Vec::new() };
        publisher.send(outgoing).await?;
    }
    publisher.acknowledged().await
}

async fn make_topic(settings: &KafkaSettings) -> Result<Admin, KafkaProblem> {
    let admin = Admin::new(settings, "g")?;
    let (name, config) = (TOPIC.to_owned(), Vec::new());
    let spec = TopicSpec { name, partitions: PARTITIONS, replication: 1, config };
    admin.ensure_topic(&spec).await?;
    Ok(admin)
}

fn read(settings: &KafkaSettings) -> Result<(Reader, Vec<Receiver<Event>>), KafkaProblem> {
    let (group, filter) = ("g".to_owned(), None);
    let (queue_kibibytes_max, channels) = (4096, 2);
    let options = GroupOptions { group, instance_id: None, queue_kibibytes_max, channels, filter };
    let (reader, channels) = Reader::of_partitions(settings, TOPIC, &options)?;
    let starts = (0..PARTITIONS).map(|number| (Partition(number), PartitionStart::Beginning));
    reader.handle().assign(starts.collect());
    Ok((reader, channels))
}

/// The partition of the channel's next record.
async fn next(channel: &mut Receiver<Event>) -> Partition {
    loop {
        let event = timeout(PATIENCE, channel.recv()).await.expect("something comes");
        match event.expect("the reader runs") {
            Event::Record(record) => return record.partition,
            Event::Problem(problem) => panic!("{problem}"),
            _ => {}
        }
    }
}

/// The partition of the next record of either channel.
async fn next_of_either(channels: &mut [Receiver<Event>]) -> Partition {
    let [first, second] = channels else { panic!("there are two") };
    tokio::select! {
        partition = next(first) => partition,
        partition = next(second) => partition,
    }
}

#[tokio::test]
async fn partitions_with_a_backlog_are_read_side_by_side() {
    let kafka = SecuredKafka::start().await.unwrap();
    let settings = settings(&kafka, &kafka.password_file());
    let admin = make_topic(&settings).await.unwrap();
    publish(&settings).await.unwrap();
    let all = (0..PARTITIONS).map(Partition).collect();
    let ends: BTreeMap<_, _> = admin.ends(TOPIC, all).await.unwrap().into_iter().collect();

    // Slower than the client: its queues are always full.
    let (reader, mut channels) = read(&settings).unwrap();
    let mut taken = BTreeMap::<Partition, i64>::new();
    for number in 0..RECORDS / 2 {
        *taken.entry(next_of_either(&mut channels).await).or_default() += 1;
        if number % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let behind = |(partition, end): &(&Partition, &records::Offset)| {
        taken.get(partition).is_none_or(|taken| taken * 4 < end.0)
    };
    let behind: Vec<_> = ends.iter().filter(behind).collect();
    assert!(behind.is_empty(), "of {ends:?} were taken {taken:?}");
    drop((reader, channels));

    // Nobody takes anything from the first channel.
    let (_reader, mut channels) = read(&settings).unwrap();
    let mut taken = BTreeMap::<Partition, i64>::new();
    let all_of = |taken: &BTreeMap<Partition, i64>| {
        taken.len() == usize::try_from(PARTITIONS / 2).unwrap()
            && taken.iter().all(|(partition, taken)| *taken == ends[partition].0)
    };
    while !all_of(&taken) {
        *taken.entry(next(&mut channels[1]).await).or_default() += 1;
    }
}

#[tokio::test]
async fn giving_back_what_is_not_read_is_no_problem() {
    let kafka = SecuredKafka::start().await.unwrap();
    let settings = settings(&kafka, &kafka.password_file());
    make_topic(&settings).await.unwrap();
    let (reader, mut channels) = read(&settings).unwrap();
    let (read, not_read) = (Partition(0), Partition(PARTITIONS));
    reader.handle().unassign(vec![not_read]);
    reader.handle().unassign(vec![read, not_read]);
    let mut revoked = Vec::new();
    while revoked != [read] {
        let event = timeout(PATIENCE, channels[0].recv()).await.expect("something comes");
        match event.expect("the reader runs") {
            Event::Problem(problem) => panic!("{problem}"),
            Event::Revoked { partition } => revoked.push(partition),
            _ => {}
        }
    }
}
