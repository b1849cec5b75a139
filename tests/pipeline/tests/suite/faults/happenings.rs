//! Events and samples while everything fails that can: each counts once.

use super::outages::crash;
use super::rebalances::all_have_some;
use super::zombies::signal;
use harness::World;
use nix::sys::signal::Signal;
use pipeline::{Happenings, LONG, MIGRATED, Outcome, complaints, persister};

const KILLS: usize = 6;
/// The most moments of the load from a kill to the next.
const APART: usize = 200;

/// Few of a minute's events are kept, and rollups are made all the time.
const VARIABLES: [(&str, &str); 2] =
    [("TRIBUTARY_EVENTS__STORM_PER_MINUTE", "5"), ("TRIBUTARY_METRICS__UPKEEP_EVERY", "200ms")];

async fn crash_database(load: &mut Happenings, world: &World) -> Outcome<()> {
    crash(world).await?;
    let server = &world.parts().postgres.server;
    load.publish_during(async { Ok(server.restart().await?) }).await?;
    load.publish(50).await
}

#[tokio::test]
async fn each_event_and_each_sample_counts_once_whatever_fails() -> Outcome<()> {
    let world = World::start_alone("happenings", &MIGRATED).await?;
    let mut load = Happenings::start(&world, 11).await?;
    let first = persister(&world, "slot-0", &VARIABLES)?;
    load.publish(50).await?;
    let second = persister(&world, "slot-1", &VARIABLES)?;
    load.publish_during(all_have_some(2, &world)).await?;
    let members = [first, second];
    for _ in 0..KILLS {
        let moments = load.random.below(APART);
        load.publish(moments).await?;
        let killed = load.random.choose(&members);
        killed.kill();
        killed.restart()?;
    }
    load.publish_during(all_have_some(2, &world)).await?;
    crash_database(&mut load, &world).await?;

    let [sleeper, other] = members;
    signal(&sleeper, Signal::SIGSTOP)?;
    load.publish_during(all_have_some(1, &world)).await?;
    crash_database(&mut load, &world).await?;
    signal(&sleeper, Signal::SIGCONT)?;
    load.publish_during(all_have_some(2, &world)).await?;
    other.terminate();
    load.publish_during(async { Ok(other.wait(LONG).await?) }).await?;
    load.publish(50).await?;
    let [events, samples] = load.prove().await?;
    let words = [complaints(&sleeper)?, complaints(&other)?];
    println!("{events} events, {samples} samples; they said {words:#?}");
    Ok(())
}
