//! Persisters that are killed at random moments under load: each record counts once.

use harness::{World, wait_until};
use pipeline::{LONG, Load, MIGRATED, Order, Outcome, admin, complaints};

const KILLS: usize = 15;
/// The most moments of the load from a kill to the next: a start takes some hundred.
const APART: usize = 300;

#[tokio::test]
async fn each_record_counts_once_whenever_a_persister_is_killed() -> Outcome<()> {
    let world = World::start("kills", &MIGRATED).await?;
    let mut load = Load::start(&world, 1).await?;
    let only = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    for _ in 0..KILLS {
        load.publish_some(APART).await?;
        only.kill();
        only.restart()?;
    }
    println!("{KILLS} kills: {:?}; it said {:#?}", load.prove().await?, complaints(&only)?);
    Ok(())
}

#[tokio::test]
async fn each_record_counts_once_whichever_of_two_persisters_is_killed() -> Outcome<()> {
    let world = World::start("kills-of-two", &MIGRATED).await?;
    let mut load = Load::start(&world, 2).await?;
    let members = [load.persister(&world, "slot-0")?, load.persister(&world, "slot-1")?];
    load.publish(100).await?;
    for _ in 0..KILLS {
        load.publish_some(APART).await?;
        let killed = load.random.choose(&members);
        killed.kill();
        killed.restart()?;
    }
    let proof = load.prove().await?;
    let words = [complaints(&members[0])?, complaints(&members[1])?];
    println!("{KILLS} kills of two: {proof:?}; they said {words:#?}");
    Ok(())
}

/// How many records the persister has carried ahead of its lane since it was started.
async fn ahead(world: &World) -> u64 {
    // Just started, it does not answer yet.
    let metrics = admin(world, "slot-0", "/metrics").await.unwrap_or_default();
    let name = "tributary_persister_express_records_total ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    value.unwrap_or_default()
}

#[tokio::test]
async fn what_goes_ahead_of_a_lane_counts_once_too_whenever_a_persister_is_killed() -> Outcome<()> {
    let world = World::start("kills-ahead", &MIGRATED).await?;
    let mut load = Load::start_in(Order::Ahead, &world, 12).await?;
    let only = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    let mut carried = 0;
    for _ in 0..KILLS {
        load.publish_some(APART).await?;
        carried += ahead(&world).await;
        only.kill();
        only.restart()?;
    }
    load.publish(2 * APART).await?;
    // On a slow machine each kill may come before anything was counted.
    let counted = wait_until("records that were carried ahead", LONG, async || {
        let carried = carried + ahead(&world).await;
        if carried > 0 { Ok(carried) } else { Err("none".to_owned()) }
    });
    let carried = load.publish_during(async { Ok(counted.await?) }).await?;
    let proof = load.prove().await?;
    println!("{KILLS} kills: {proof:?}, {carried} ahead; it said {:#?}", complaints(&only)?);
    Ok(())
}
