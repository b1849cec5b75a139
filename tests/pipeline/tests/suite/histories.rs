//! Hundreds of small histories through Kafka at once, each in an order of its own and cut into
//! batches as they come, while members come, go and die: the rows are what the naive model says.

use harness::Program;
use oracle::history::{History, Objects, Record, Shape};
use oracle::kinds::Kinds;
use oracle::random::Random;
use oracle::rows::difference_of_views;
use pipeline::{Bench, LONG, Outcome, persister};
use records::Topic;
use wire::{KafkaSettings, Outgoing, Publisher};

const HISTORIES: u64 = 300;
/// After so many records something happens to the members.
const PORTION: usize = 500;
/// Above those of other tests, which share the registry.
const TYPES: u64 = 1_000_000;

/// What is still to be sent of a history.
struct Sender {
    run: String,
    records: Vec<Record>,
    truth: Objects,
}

impl Sender {
    /// Every record at least once, in any order.
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut history = History::new(Shape { numbered: true, ..Shape::narrow() });
        let moments = random.below(12) + 3;
        let mut records: Vec<Record> =
            (0..moments).flat_map(|_| history.moment(&mut random)).collect();
        for _ in 0..random.below(records.len()) {
            records.push(random.choose(&records).clone());
        }
        random.shuffle(&mut records);
        Self { run: format!("h{seed}"), records, truth: history.truth }
    }
}

/// A member is killed, another one comes, or the others go.
async fn disturb(bench: &Bench, others: &mut Vec<Program>, random: &mut Random) -> Outcome<()> {
    match random.below(3) {
        0 => {
            let killed = others.last().filter(|_| random.once_in(2)).unwrap_or(&bench.persister);
            killed.kill();
            killed.restart()?;
        }
        1 if !others.is_empty() => {
            for leaves in others.drain(..) {
                leaves.terminate();
                leaves.wait(LONG).await?;
            }
        }
        _ => others.push(persister(&bench.world, &format!("slot-{}", others.len() + 1), &[])?),
    }
    Ok(())
}

#[tokio::test]
async fn rows_equal_the_model_of_hundreds_of_histories_through_kafka() -> Outcome<()> {
    let mut bench = Bench::start("histories").await?;
    let kinds = Kinds::register(&bench.world, TYPES).await;
    let address = bench.world.parts().kafka.address();
    let kafka = KafkaSettings::plain(&address, &bench.world.topic_prefix());
    let publisher = Publisher::new(&kafka)?;
    let (mut random, mut others, mut count) = (Random::new(1), Vec::new(), 0);
    let mut senders: Vec<Sender> = (0..HISTORIES).map(Sender::of).collect();
    let mut done = Vec::new();
    while !senders.is_empty() {
        let number = random.below(senders.len());
        let Some(record) = senders[number].records.pop() else {
            done.push(senders.swap_remove(number));
            continue;
        };
        let run = &senders[number].run;
        let lane = *random.choose(&[Topic::InventoryLive, Topic::InventorySnapshot]);
        let outgoing = Outgoing {
            topic: kafka.topic(lane),
            key: Some(kinds.key(&record, run).into_bytes()),
            payload: kinds.incoming(&record, run).payload.map(Into::into),
            headers: Vec::new(),
        };
        publisher.send(outgoing).await?;
        count += 1;
        if count % PORTION == 0 {
            publisher.acknowledged().await?;
            disturb(&bench, &mut others, &mut random).await?;
        }
    }
    publisher.acknowledged().await?;
    bench.catches_up().await?;
    for Sender { run, truth, .. } in &done {
        let database = &mut bench.database;
        assert_eq!(difference_of_views(database, &kinds, run, truth).await, None, "{run}");
    }
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    println!("{HISTORIES} histories, {count} records: no difference");
    Ok(())
}
