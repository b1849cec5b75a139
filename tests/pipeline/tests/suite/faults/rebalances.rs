//! Members that come and go all the time, under load.

use harness::{World, wait_until};
use pipeline::{LONG, Load, MIGRATED, Outcome, complaints, persister};
use sqlx::{Connection, PgConnection};

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
    let mut members = vec![persister(&world, "slot-0", &[])?];
    let mut words = Vec::new();
    for size in SIZES {
        while members.len() < size {
            members.push(persister(&world, &format!("slot-{}", members.len()), &[])?);
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
