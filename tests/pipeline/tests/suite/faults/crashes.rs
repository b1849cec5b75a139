//! Persisters that are killed at random moments under load: each record counts once.

use harness::World;
use pipeline::{Load, MIGRATED, Outcome, complaints};

pub(super) const KILLS: usize = 15;
/// The most moments of the load from a kill to the next: a start takes some hundred.
pub(super) const APART: usize = 300;

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
