//! One command runs both sides, keeps them running, and stops them in order.

use harness::{Census, Inventory, ProcessId, Program, Template, Vcsim, World, wait_until};
use pipeline::{LONG, Outcome, SOURCE, apply, provider_manifest};
use sqlx::{Connection, PgConnection};
use std::path::{Path, PathBuf};

struct Bench {
    world: World,
    vcsim: Vcsim,
    manifests: PathBuf,
    credentials: PathBuf,
}

impl Bench {
    async fn start(name: &str, password: Option<&str>) -> Outcome<Self> {
        let world = World::start(name, &Template::EMPTY).await?;
        let (vcsim, applied) = tokio::join!(world.vcsim(Inventory::Vms(4)), apply(&world));
        let vcsim = vcsim?;
        applied?;
        let credentials = world.folder().join("credentials.yaml");
        let right = std::fs::read_to_string(vcsim.credentials_file())?;
        let wrong = password.map(|password| format!("username: collector\npassword: {password}\n"));
        std::fs::write(&credentials, wrong.unwrap_or(right))?;
        let manifests = world.folder().join("manifests.yaml");
        let group = format!(
            "---\napiVersion: tributary.dev/v1alpha1\nkind: PersisterGroup\n\
             metadata: {{name: {}}}\nspec: {{replicas: 1}}\n",
            world.topic_prefix()
        );
        std::fs::write(&manifests, provider_manifest(&vcsim, &credentials) + &group)?;
        Ok(Self { world, vcsim, manifests, credentials })
    }

    fn orchestrator(&self) -> Outcome<Program> {
        let (manifests, logs) = (&self.manifests, self.logs());
        Ok(self.world.program("orchestrator", |command| {
            command.args(["run", "-f"]).arg(manifests).env("TRIBUTARY_PROCESS__LOG_FOLDER", logs)
        })?)
    }

    fn logs(&self) -> PathBuf {
        self.world.folder().join("logs")
    }

    async fn equals(&self) -> Outcome<()> {
        let mut database = PgConnection::connect(self.world.database_url()).await?;
        wait_until("rows that equal the vCenter", LONG, async || {
            let error = |error: harness::Error| error.to_string();
            let census = self.vcsim.census().await.map_err(error)?;
            let rows = Census::of_rows(&mut database, SOURCE).await.map_err(error)?;
            let differences = census.differences(&rows);
            if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
        })
        .await?;
        Ok(())
    }

    /// Waits until the worker has a process, another one than `before`.
    async fn process_of(&self, worker: &str, before: Option<ProcessId>) -> Outcome<ProcessId> {
        let what = format!("a process of {worker}");
        let found = wait_until(&what, LONG, async || {
            let status = status(&self.logs())?;
            let pid = status["workers"][worker]["pid"].as_i64().and_then(|pid| pid.try_into().ok());
            let id = pid.and_then(ProcessId::of).filter(|id| Some(*id) != before);
            id.ok_or_else(|| status.to_string())
        });
        Ok(found.await?)
    }
}

fn status(logs: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read(logs.join("status.json")).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

#[tokio::test]
async fn workers_that_die_are_started_again_and_stop_together() -> Outcome<()> {
    let bench = Bench::start("orchestrated", None).await?;
    let orchestrator = bench.orchestrator()?;
    bench.equals().await?;
    let persister_name = format!("persister-{}-0", bench.world.topic_prefix());
    for worker in ["collector-vc", &persister_name] {
        let before = bench.process_of(worker, None).await?;
        before.signal(nix::sys::signal::Signal::SIGKILL);
        bench.process_of(worker, Some(before)).await?;
        bench.vcsim.govc(&["vm.power", "-off", "DC0_C0_RP0_VM0"]).await?;
        bench.equals().await?;
        bench.vcsim.govc(&["vm.power", "-on", "DC0_C0_RP0_VM0"]).await?;
        bench.equals().await?;
    }
    let collector = bench.process_of("collector-vc", None).await?;
    let persister = bench.process_of(&persister_name, None).await?;
    orchestrator.terminate();
    let status = orchestrator.wait(LONG).await?;
    assert!(status.success(), "{}", orchestrator.output()?);
    assert!(!collector.is_alive() && !persister.is_alive());
    Ok(())
}

#[tokio::test]
async fn a_refused_password_holds_the_collector_until_it_is_changed() -> Outcome<()> {
    let bench = Bench::start("refused", Some("wrong-password")).await?;
    let orchestrator = bench.orchestrator()?;
    let reason = wait_until("a held collector", LONG, async || {
        let status = status(&bench.logs())?;
        let worker = &status["workers"]["collector-vc"];
        let is_held = worker["state"] == "held";
        if is_held { Ok(worker["last_end"].to_string()) } else { Err(status.to_string()) }
    })
    .await?;
    assert!(reason.contains("credentials_file"), "{reason}");
    assert!(!reason.contains("wrong-password"), "{reason}");
    std::fs::copy(bench.vcsim.credentials_file(), &bench.credentials)?;
    bench.equals().await?;
    assert!(orchestrator.status().is_none(), "{}", orchestrator.output()?);
    Ok(())
}
