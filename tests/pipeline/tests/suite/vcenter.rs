//! From a real vCenter API to rows, and what must hold whatever is killed on the way.

use harness::wait_until;
use pipeline::{LONG, Outcome, Pipeline, SOURCE, apply};
use records::{Topic, Version};
use std::path::Path;
use std::time::Instant;

const POWER: &str =
    "SELECT power_state FROM inventory.virtual_machine WHERE name = 'DC0_C0_RP0_VM0'";

#[tokio::test]
async fn the_first_listing_equals_the_vcenter() -> Outcome<()> {
    let mut pipeline = Pipeline::start("first", 20).await?;
    let census = pipeline.equals().await?;
    assert_eq!(census.count("virtual_machine"), 20);
    // Every reference of every row finds its target, the root folder too.
    let dangling = "SELECT coalesce(string_agg(v.name, ', '), 'none') \
         FROM inventory.virtual_machine_detail v LEFT JOIN inventory.host_detail h \
         ON h.source = v.source AND h.native_id = v.host_ref \
         WHERE h.cluster_name IS NULL OR v.folder_name IS NULL OR v.resource_pool_name IS NULL";
    pipeline.gives(dangling, "none").await?;
    pipeline.gives("SELECT count(*)::text FROM inventory.dangling_references", "0").await?;
    pipeline.drained().await?;
    let verify = ["verify", "--source", SOURCE];
    let program = pipeline.world.program("persister", |command| command.args(verify))?;
    assert_eq!(program.wait(LONG).await?.code(), Some(0), "{}", program.output()?);
    Ok(())
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the age is shown to people, not judged")]
async fn a_power_off_becomes_a_changed_row() -> Outcome<()> {
    let mut pipeline = Pipeline::start("power", 4).await?;
    pipeline.equals().await?;
    let asked = (Version::now(), Instant::now());
    pipeline.vcsim.govc(&["vm.power", "-off", "DC0_C0_RP0_VM0"]).await?;
    pipeline.gives(POWER, "off").await?;
    let seen = asked.1.elapsed();
    let (changed_at, version): (i64, i64) = sqlx::query_as(
        "SELECT (extract(epoch FROM changed_at) * 1e6)::bigint, version \
         FROM inventory.virtual_machine WHERE name = 'DC0_C0_RP0_VM0'",
    )
    .fetch_one(&mut pipeline.database)
    .await?;
    assert!(version > asked.0.micros() && changed_at > version, "seen after it was asked for");
    let milliseconds = |micros: i64| micros / 1000;
    eprintln!(
        "power-off: received after {} ms, committed after {} ms, seen after {} ms",
        milliseconds(version - asked.0.micros()),
        milliseconds(changed_at - asked.0.micros()),
        seen.as_millis()
    );
    pipeline.equals().await?;
    Ok(())
}

#[tokio::test]
async fn a_destroyed_vm_is_a_tombstone_and_a_created_one_a_row() -> Outcome<()> {
    let mut pipeline = Pipeline::start("destroyed", 4).await?;
    pipeline.equals().await?;
    pipeline.vcsim.govc(&["vm.destroy", "DC0_C0_RP0_VM0"]).await?;
    pipeline.vcsim.govc(&CREATE).await?;
    pipeline.equals().await?;
    let tombstone = "SELECT alive::text || ' ' || (gone_at IS NOT NULL)::text \
         FROM inventory_all.virtual_machine WHERE name = 'DC0_C0_RP0_VM0'";
    pipeline.gives(tombstone, "false true").await
}

#[tokio::test]
async fn what_happens_while_the_collector_is_down_is_made_good() -> Outcome<()> {
    let mut pipeline = Pipeline::start("down", 4).await?;
    pipeline.equals().await?;
    pipeline.collector.kill();
    pipeline.vcsim.govc(&CREATE).await?;
    pipeline.vcsim.govc(&["vm.destroy", "new"]).await?;
    pipeline.vcsim.govc(&["vm.destroy", "DC0_C0_RP0_VM0"]).await?;
    pipeline.vcsim.govc(&["vm.power", "-off", "DC0_C1_RP0_VM0"]).await?;
    pipeline.collector.restart()?;
    let census = pipeline.equals().await?;
    assert_eq!(census.count("virtual_machine"), 3);
    let new = "SELECT count(*)::text FROM inventory.virtual_machine WHERE name = 'new'";
    pipeline.gives(new, "0").await
}

#[tokio::test]
async fn a_collector_killed_in_the_middle_of_a_listing_deletes_nothing() -> Outcome<()> {
    let mut pipeline = Pipeline::start("middle", 40).await?;
    pipeline.equals().await?;
    pipeline.drained().await?;
    let before = pipeline.count(Topic::InventorySnapshot).await?;
    pipeline
        .direct(|directive| {
            directive.listing_wanted_since = Some(Version::now().micros());
            directive.bulk_records_per_second = Some(10.0);
        })
        .await?;
    wait_until("some of the second listing's records", LONG, async || {
        match pipeline.count(Topic::InventorySnapshot).await {
            Ok(count) if count > before + 10 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    pipeline.collector.kill();
    assert!(pipeline.count(Topic::InventorySnapshot).await? < before + 40, "not in the middle");
    pipeline.drained().await?;
    let dead = "SELECT count(*)::text FROM inventory_all.virtual_machine WHERE NOT alive";
    pipeline.gives(dead, "0").await?;
    pipeline.equals().await?;

    // It begins anew, and ends what has gone meanwhile.
    pipeline.direct(|_| ()).await?;
    pipeline.vcsim.govc(&["vm.destroy", "DC0_C0_RP0_VM0"]).await?;
    pipeline.collector.restart()?;
    pipeline.equals().await?;
    pipeline.gives(dead, "1").await
}

#[tokio::test]
async fn a_second_collector_of_the_same_source_ends_the_first_one_cleanly() -> Outcome<()> {
    let mut pipeline = Pipeline::start("second", 4).await?;
    pipeline.equals().await?;
    let second = pipeline.second_collector()?;
    let status = pipeline.collector.wait(LONG).await?;
    assert!(status.success(), "{status}");
    assert!(pipeline.collector.output()?.contains("has taken over"));
    pipeline.vcsim.govc(&["vm.power", "-off", "DC0_C0_RP0_VM0"]).await?;
    pipeline.gives(POWER, "off").await?;
    assert!(second.status().is_none(), "{}", second.output()?);
    Ok(())
}

#[tokio::test]
async fn a_paused_collector_collects_nothing_until_it_is_resumed() -> Outcome<()> {
    let mut pipeline = Pipeline::start("paused", 4).await?;
    pipeline.equals().await?;
    pipeline.direct(|directive| directive.paused = true).await?;
    Pipeline::prints(&pipeline.collector, "paused by a directive").await?;
    pipeline.vcsim.govc(&["vm.power", "-off", "DC0_C0_RP0_VM0"]).await?;
    pipeline.drained().await?;
    pipeline.gives(POWER, "on").await?;
    pipeline.direct(|_| ()).await?;
    pipeline.gives(POWER, "off").await
}

#[tokio::test]
async fn a_persister_killed_while_it_fills_the_tables_loses_nothing() -> Outcome<()> {
    let mut pipeline = Pipeline::start("filling", 100).await?;
    for _ in 0..5 {
        wait_until("a running persister", LONG, async || {
            pipeline.persister.id().ok_or("it has ended")
        })
        .await?;
        pipeline.persister.kill();
        pipeline.persister.restart()?;
        pipeline.vcsim.govc(&["vm.power", "-off", "DC0_C0_RP0_VM0"]).await?;
        pipeline.vcsim.govc(&["vm.power", "-on", "DC0_C0_RP0_VM0"]).await?;
    }
    pipeline.equals().await?;
    pipeline.drained().await?;
    assert_eq!(pipeline.count(Topic::DeadLetters).await?, 0);
    Ok(())
}

/// A new VM that is off.
const CREATE: [&str; 9] = [
    "vm.create",
    "-on=false",
    "-pool",
    "/DC0/host/DC0_C0/Resources",
    "-ds",
    "LocalDS_0",
    "-net",
    "VM Network",
    "new",
];

/// The persister asks for a listing, on a topic that the collector knows of another cluster.
#[tokio::test]
async fn a_collector_follows_the_topics_of_another_cluster_and_those_made_anew() -> Outcome<()> {
    let mut pipeline = Pipeline::start_alone("replaced", 4).await?;
    pipeline.equals().await?;
    pipeline.drained().await?;
    let first = pipeline.collector.id();
    pipeline.world.parts().kafka.replace().await?;
    apply(&pipeline.world).await?;
    sqlx::raw_sql("DELETE FROM inventory_all.host").execute(&mut pipeline.database).await?;
    pipeline.equals().await?;
    // To the client the leader of the topic made anew is one of before the restart.
    pipeline.world.parts().kafka.server.restart().await?;
    pipeline.direct(|_| ()).await?;
    let control = format!("{}control", pipeline.world.topic_prefix());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/anew.py");
    let anew = pipeline.world.python(&script, |command| command.args([&control, "4"]))?;
    assert!(anew.wait(LONG).await?.success(), "{}", anew.output()?);
    pipeline.direct(|directive| directive.paused = true).await?;
    Pipeline::prints(&pipeline.collector, "paused by a directive").await?;
    assert_eq!(pipeline.collector.id(), first, "{}", pipeline.collector.output()?);
    Ok(())
}
