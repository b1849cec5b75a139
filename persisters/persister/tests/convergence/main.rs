//! What two persisters write to a real PostgreSQL, racing, equals the pure model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the counts are for whoever reads the run")]

mod cases;
mod licence;
mod member;
mod play;

use harness::{Template, World};
use oracle::history;
use oracle::kinds::Kinds;
use oracle::random::Random;
use play::{Bench, Delivery};
use sqlx::{Connection, PgConnection};
use std::time::Instant;

const HISTORIES: u64 = 400;
const LISTINGS: u64 = 100;
/// How many histories share a pair of types; with new ones tables are made and widened in a race.
const OF_SAME_TYPES: u64 = 4;

static MIGRATED: Template = Template::new("migrated", |url| {
    Box::pin(async move {
        let mut connection = PgConnection::connect(&url).await?;
        schemas::database::migrate(&mut connection).await?;
        Ok(())
    })
});

#[tokio::test]
async fn a_licensed_listing_writes_only_what_a_person_has_changed() {
    let world = World::start("licence", &MIGRATED).await.unwrap();
    // Above the others' numbers: the registry is shared, and a schema stands for one table.
    let mut bench = Bench::start(&world, Kinds::register(&world, HISTORIES).await).await;
    for seed in 0..LISTINGS {
        let mut random = Random::new(seed);
        let (history, truth) = history::make(&mut random);
        let delivery = Delivery::of(&history, &mut random);
        let difference = bench.play(&delivery, Some(&truth)).await;
        let difference = difference.or(bench.list(&truth, &mut random).await);
        assert_eq!(difference, None, "seed {seed}, {delivery}");
    }
}

#[tokio::test]
async fn rows_equal_the_model_whatever_the_order() {
    let world = World::start("convergence", &MIGRATED).await.unwrap();
    let started = Instant::now();
    let mut bench = Bench::start(&world, Kinds::register(&world, 0).await).await;
    for seed in 0..HISTORIES {
        if seed > 0 && seed.is_multiple_of(OF_SAME_TYPES) {
            bench.use_types(Kinds::register(&world, seed).await).await;
        }
        let mut random = Random::new(seed);
        let (history, truth) = history::make(&mut random);
        let delivery = Delivery::of(&history, &mut random);
        if let Some(difference) = bench.play(&delivery, Some(&truth)).await {
            let (delivery, difference) = bench.shrink(delivery, difference).await;
            panic!("seed {seed}: {difference}\n{delivery}");
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let counts = &bench.counts;
    println!("{HISTORIES} histories in {seconds:.1} s: {counts:?}, no difference");
}
