//! Rows of what is gone do not stay for ever.

use harness::{World, wait_until};
use pipeline::{LONG, MIGRATED, Outcome, Source, WIDGET};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};

/// The ids in the table, and whether they live.
async fn rows(database: &mut PgConnection) -> Result<Vec<(String, Option<bool>)>, sqlx::Error> {
    let statement = "SELECT native_id, alive FROM inventory_all.widget ORDER BY native_id";
    sqlx::query_as(statement).fetch_all(database).await
}

#[tokio::test]
async fn a_tombstone_goes_once_a_newer_listing_makes_it_needless() -> Outcome<()> {
    let world = World::start("purge", &MIGRATED).await?;
    let source = Source::start(&world, WIDGET).await?;
    let group = world.topic_prefix();
    let _persister = world.program("persister", |command| {
        command.args(["run", "--group", &group]).env("TRIBUTARY_PERSISTER__PURGE_EVERY", "100ms")
    })?;
    let mut database = PgConnection::connect(world.database_url()).await?;
    let first = Version::now();
    let versions = [first, first.next(), first.next().next()];
    for id in ["stays", "goes"] {
        source.whole(Topic::InventorySnapshot, (id, versions[0]), &[]).await?;
    }
    // The first extent makes a tombstone, which is needed until there is a second one.
    for version in &versions[1..] {
        source.whole(Topic::InventorySnapshot, ("stays", *version), &[]).await?;
        source.extent(&["stays"], *version).await?;
    }
    wait_until("no tombstone", LONG, async || {
        let rows = rows(&mut database).await.map_err(|error| error.to_string())?;
        let wanted = [("stays".to_owned(), Some(true))];
        if rows == wanted { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await?;
    Ok(())
}
