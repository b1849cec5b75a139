//! What a persister tells who watches it: what is left to do, and whether it can do it.

use harness::{World, wait_until};
use pipeline::{Bench, LONG, MIGRATED, Outcome, Source, WIDGET, admin, persister};
use records::{Topic, Version};
use sqlx::{Connection, PgConnection};

async fn shows(world: &World, path: &str, wanted: &str) -> Outcome<()> {
    wait_until(wanted, LONG, async || {
        let text = admin(world, "slot-0", path).await.map_err(|error| error.to_string())?;
        if text.contains(wanted) { Ok(()) } else { Err(text) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn lag_is_told_while_nothing_moves() -> Outcome<()> {
    let mut bench = Bench::start("lag").await?;
    let live = Topic::InventoryLive;
    bench.source.whole(live, ("a", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None)]).await?;
    bench.admin_shows("/readyz", r#"{"ok":true,"#).await?;
    let mut other = PgConnection::connect(bench.world.database_url()).await?;
    let mut block = other.begin().await?;
    sqlx::query("LOCK TABLE inventory_all.widget").execute(&mut *block).await?;
    for _ in 0..3 {
        bench.source.whole(live, ("a", Version::now()), &[]).await?;
    }
    bench.admin_shows("/metrics", "} 3\n").await?;
    let metrics = admin(&bench.world, "slot-0", "/metrics").await?;
    let lags = metrics.lines().filter(|line| line.starts_with("tributary_lag_records{"));
    assert_eq!(lags.filter(|line| line.ends_with(" 3")).count(), 1, "{metrics}");
    block.rollback().await?;
    wait_until("no lag", LONG, async || {
        let metrics = admin(&bench.world, "slot-0", "/metrics").await.map_err(|e| e.to_string())?;
        let mut lags = metrics.lines().filter(|line| line.starts_with("tributary_lag_records{"));
        if lags.all(|line| line.ends_with(" 0")) { Ok(()) } else { Err(metrics) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_that_is_given_away_loses_its_series() -> Outcome<()> {
    let bench = Bench::start("series").await?;
    let series = async |slot: &str| -> Result<usize, String> {
        let text = admin(&bench.world, slot, "/metrics").await.map_err(|e| e.to_string())?;
        Ok(text.lines().filter(|line| line.starts_with("tributary_lag_records{")).count())
    };
    let owns = async |slot: &'static str, wanted: usize| {
        wait_until(&format!("{wanted} series of {slot}"), LONG, async || {
            let found = series(slot).await?;
            if found == wanted { Ok(()) } else { Err(format!("{found}")) }
        })
        .await
    };
    owns("slot-0", 16).await?;
    let _second = persister(&bench.world, "slot-1", &[])?;
    owns("slot-1", 8).await?;
    owns("slot-0", 8).await?;
    Ok(())
}

#[tokio::test]
async fn without_its_database_it_is_not_ready() -> Outcome<()> {
    let world = World::start("unready", &MIGRATED).await?;
    let _source = Source::start(&world, WIDGET).await?;
    let nowhere = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")];
    let _persister = persister(&world, "slot-0", &nowhere)?;
    shows(&world, "/readyz", r#""ok":false,"#).await?;
    shows(&world, "/readyz", r#""group":"starting""#).await?;
    shows(&world, "/readyz", r#""database":"PostgreSQL: "#).await
}
