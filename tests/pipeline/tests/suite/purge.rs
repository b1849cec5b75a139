//! Rows of what is gone do not stay for ever.

use harness::{World, wait_until};
use pipeline::{LONG, MIGRATED, Outcome, Source, WIDGET, admin, persister};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};

/// Waits until the table has these living rows and no other.
async fn lives(database: &mut PgConnection, ids: &[&str]) -> Outcome<()> {
    let wanted: Vec<_> = ids.iter().map(|id| ((*id).to_owned(), Some(true))).collect();
    wait_until(&format!("{ids:?} alone"), LONG, async || {
        let statement = "SELECT native_id, alive FROM inventory_all.widget ORDER BY native_id";
        let rows: Result<Vec<(String, Option<bool>)>, sqlx::Error> =
            sqlx::query_as(statement).fetch_all(&mut *database).await;
        let rows = rows.map_err(|error| error.to_string())?;
        if rows == wanted { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_tombstone_goes_once_a_newer_listing_makes_it_needless() -> Outcome<()> {
    let world = World::start("purge", &MIGRATED).await?;
    let source = Source::start(&world, WIDGET).await?;
    let often = [("TRIBUTARY_PERSISTER__PURGE_EVERY", "100ms")];
    let _persister = persister(&world, "slot-0", &often)?;
    let mut database = PgConnection::connect(world.database_url()).await?;
    let first = Version::now();
    let versions = [first, first.next(), first.next().next()];
    for id in ["stays", "goes"] {
        source.whole(Topic::InventorySnapshot, (id, versions[0]), &[]).await?;
    }
    // A key that is not known yet is not made under a newer extent.
    lives(&mut database, &["goes", "stays"]).await?;
    // The first extent makes a tombstone, which is needed until there is a second one.
    for version in &versions[1..] {
        source.whole(Topic::InventorySnapshot, ("stays", *version), &[]).await?;
        source.extent(&["stays"], *version).await?;
    }
    lives(&mut database, &["stays"]).await?;
    let purged = "tributary_persister_tombstones_purged_total 1\n";
    wait_until(purged, LONG, async || {
        let text = admin(&world, "slot-0", "/metrics").await.map_err(|error| error.to_string())?;
        if text.contains(purged) { Ok(()) } else { Err(text) }
    })
    .await?;
    Ok(())
}
