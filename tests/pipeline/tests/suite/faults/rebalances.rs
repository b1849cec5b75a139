//! Members that come and go all the time, under load.

use harness::{World, wait_until};
use pipeline::{LONG, Load, MIGRATED, Outcome, complaints};
use records::{Partition, Topic};
use sqlx::{Connection, PgConnection};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::{Event, GroupOptions, KafkaSettings, PartitionStart, Positions, Reader};

/// How many members there are, one after the other.
const SIZES: [usize; 7] = [4, 2, 3, 1, 4, 2, 1];

/// Waits until all members have partitions.
pub(super) async fn all_have_some(members: usize, world: &World) -> Outcome<()> {
    let mut database = PgConnection::connect(world.database_url()).await?;
    wait_until("partitions of all members", LONG, async || {
        let owners = "SELECT count(DISTINCT owner) FROM tributary.position";
        let found = sqlx::query_scalar::<_, i64>(owners).fetch_one(&mut database).await;
        match usize::try_from(found.map_err(|error| error.to_string())?) {
            Ok(found) if found == members => Ok(()),
            found => Err(format!("{found:?} of {members} have some")),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn each_record_counts_once_while_members_come_and_go() -> Outcome<()> {
    let world = World::start("storm", &MIGRATED).await?;
    let mut load = Load::start(&world, 8).await?;
    let mut members = vec![load.persister(&world, "slot-0")?];
    let mut words = Vec::new();
    for size in SIZES {
        while members.len() < size {
            members.push(load.persister(&world, &format!("slot-{}", members.len()))?);
        }
        for leaves in members.split_off(size) {
            leaves.terminate();
            load.publish_during(async { Ok(leaves.wait(LONG).await?) }).await?;
            words.push(complaints(&leaves)?);
        }
        load.publish_during(all_have_some(size, &world)).await?;
        load.publish_some(100).await?;
    }
    println!("{} sizes: {:?}; they said {words:#?}", SIZES.len(), load.prove().await?);
    Ok(())
}

/// Joins the group under the name of the first persister.
pub(super) fn join_as_slot_0(
    world: &World,
    positions: Arc<dyn Positions>,
) -> Outcome<(Reader, Vec<mpsc::Receiver<Event>>)> {
    let options = GroupOptions {
        group: world.topic_prefix(),
        instance_id: Some("slot-0".to_owned()),
        queue_kibibytes_max: 1024,
        channels: 1,
        filter: None,
    };
    let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
    Ok(Reader::of_group(&kafka, &kafka.topic(Topic::InventoryLive), &options, positions)?)
}

/// Gives partitions back and then stands still, like a member that is killed there.
struct Predecessor {
    /// How many partitions came or went.
    moved: mpsc::UnboundedSender<usize>,
    stands_still: Arc<Mutex<()>>,
}

impl Positions for Predecessor {
    fn take_over(&self, partitions: &[Partition]) -> Vec<(Partition, PartitionStart)> {
        let _ = self.moved.send(partitions.len());
        Vec::new()
    }

    fn released(&self, partitions: &[Partition]) {
        let _ = self.moved.send(partitions.len());
        drop(self.stands_still.lock());
    }
}

/// Its successor gets what it had left, without a rebalance, and nobody gets the others.
#[tokio::test]
async fn what_a_member_gave_back_when_it_was_killed_is_read_on() -> Outcome<()> {
    let world = World::start("given-back", &MIGRATED).await?;
    let mut load = Load::start(&world, 11).await?;
    let killed = load.persister(&world, "slot-0")?;
    load.publish(100).await?;
    load.prove().await?;
    killed.kill();
    let (moved, mut movements) = mpsc::unbounded_channel();
    let stands_still = Arc::new(Mutex::new(()));
    // Dropped in the opposite order: the reader's end waits for its thread.
    let (_reader, _events);
    let _stands = stands_still.lock();
    let predecessor = Predecessor { moved, stands_still: Arc::clone(&stands_still) };
    (_reader, _events) = join_as_slot_0(&world, Arc::new(predecessor))?;
    assert_eq!(timeout(LONG, movements.recv()).await?, Some(4));
    let other = load.persister(&world, "slot-1")?;
    assert_eq!(timeout(LONG, movements.recv()).await?, Some(2));
    killed.restart()?;
    load.publish(200).await?;
    let proof = load.prove().await?;
    let words = [complaints(&killed)?, complaints(&other)?];
    println!("{proof:?}; they said {words:#?}");
    assert!(words[0].keys().any(|word| word.contains("nobody reads partitions")));
    Ok(())
}
