//! What goes ahead of a lane that is far behind counts once too, whatever fails.

use super::crashes::{APART, KILLS};
use super::outages::{TERMINATE, crash};
use super::rebalances::all_have_some;
use super::zombies::signal;
use harness::{Program, World, wait_until};
use nix::sys::signal::Signal;
use pipeline::{LONG, Load, MIGRATED, Order, Outcome, admin, complaints};

/// How many records the persister has carried ahead of its lane since it was started.
async fn ahead(world: &World, slot: &str) -> u64 {
    // Just started, it does not answer yet.
    let metrics = admin(world, slot, "/metrics").await.unwrap_or_default();
    let name = "tributary_persister_express_records_total ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    value.unwrap_or_default()
}

/// Publishes until some more were carried ahead than so many, and gives their number.
async fn carried(load: &mut Load, world: &World, (slots, before): (&[&str], u64)) -> Outcome<u64> {
    let counted = wait_until("records that were carried ahead", LONG, async || {
        let mut carried = 0;
        for slot in slots {
            carried += ahead(world, slot).await;
        }
        if carried > before { Ok(carried) } else { Err(format!("{carried}, as before")) }
    });
    load.publish_during(async { Ok(counted.await?) }).await
}

#[tokio::test]
async fn what_goes_ahead_of_a_lane_counts_once_too_whenever_a_persister_is_killed() -> Outcome<()> {
    let world = World::start("kills-ahead", &MIGRATED).await?;
    let mut load = Load::start_in(Order::Ahead, &world, 12).await?;
    let only = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    let mut before = 0;
    for _ in 0..KILLS {
        load.publish_some(APART).await?;
        before += ahead(&world, "slot-0").await;
        only.kill();
        only.restart()?;
    }
    load.publish(2 * APART).await?;
    // On a slow machine each kill may come before anything was counted.
    let last = carried(&mut load, &world, (&["slot-0"], 0)).await?;
    let (proof, ahead) = (load.prove().await?, before + last);
    println!("{KILLS} kills: {proof:?}, {ahead} ahead; it said {:#?}", complaints(&only)?);
    Ok(())
}

const SLOTS: [&str; 2] = ["slot-0", "slot-1"];

/// Who publishes, and into what, until it has gone ahead.
struct Ahead {
    world: World,
    load: Load,
    carried: u64,
}

impl Ahead {
    /// Publishes until something more was carried ahead, and then some.
    async fn publish(&mut self) -> Outcome<()> {
        self.carried = carried(&mut self.load, &self.world, (&SLOTS, self.carried)).await?;
        self.load.publish_some(100).await
    }

    async fn fail_database(&mut self) -> Outcome<()> {
        self.publish().await?;
        crash(&self.world).await?;
        let server = &self.world.parts().postgres.server;
        self.load.publish_during(async { Ok(server.restart().await?) }).await?;
        self.publish().await?;
        let name = self.world.database_url().rsplit('/').next().unwrap_or_default();
        let terminate = TERMINATE.replace("{}", name);
        self.world.parts().postgres.administer("tests", terminate).await?;
        self.publish().await
    }

    async fn fail_kafka(&mut self) -> Outcome<()> {
        let kafka = &self.world.parts().kafka.server;
        kafka.kill();
        self.load.publish_during(async { Ok(kafka.restart().await?) }).await?;
        self.publish().await
    }

    /// What it had read before, it still carries when others have its partitions.
    async fn sleep(&mut self, sleeper: &Program) -> Outcome<()> {
        signal(sleeper, Signal::SIGSTOP)?;
        self.load.publish_during(all_have_some(1, &self.world)).await?;
        self.load.publish_some(100).await?;
        signal(sleeper, Signal::SIGCONT)?;
        self.load.publish_during(all_have_some(2, &self.world)).await?;
        self.publish().await
    }

    async fn come_and_go(&mut self) -> Outcome<Program> {
        let third = self.load.persister(&self.world, "slot-2")?;
        self.load.publish_during(all_have_some(3, &self.world)).await?;
        self.publish().await?;
        third.terminate();
        self.load.publish_during(async { Ok(third.wait(LONG).await?) }).await?;
        self.load.publish_during(all_have_some(2, &self.world)).await?;
        self.publish().await?;
        Ok(third)
    }
}

#[tokio::test]
async fn what_goes_ahead_of_a_lane_counts_once_too_whatever_fails_or_sleeps_or_leaves()
-> Outcome<()> {
    let world = World::start_alone("ahead", &MIGRATED).await?;
    let load = Load::start_in(Order::Ahead, &world, 13).await?;
    let members = [load.persister(&world, SLOTS[0])?, load.persister(&world, SLOTS[1])?];
    let mut all = Ahead { world, load, carried: 0 };
    all.load.publish_during(all_have_some(2, &all.world)).await?;
    for _ in 0..2 {
        all.fail_database().await?;
    }
    all.fail_kafka().await?;
    all.sleep(&members[0]).await?;
    let third = all.come_and_go().await?;
    let (proof, carried) = (all.load.prove().await?, all.carried);
    let words = [complaints(&members[0])?, complaints(&members[1])?, complaints(&third)?];
    println!("{proof:?}, {carried} ahead; they said {words:#?}");
    for member in &members {
        assert!(member.status().is_none(), "{}", member.output()?);
    }
    Ok(())
}
