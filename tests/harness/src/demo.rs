//! `stack demo`: the main job on the local stack, shown while it goes on.

mod screen;
mod workers;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::census::Census;
use crate::demo::screen::{Screen, Snapshot, TypeLine};
use crate::demo::workers::Workers;
use crate::error::Error;
use crate::folders;
use crate::process::run;
use crate::program;
use crate::stack::{External, Stack};
use crate::vcsim::{Access, Inventory};

/// The source of `deploy/examples/demo.yaml`.
const SOURCE: &str = "vcsim";

/// How often the screen is drawn anew.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the vCenter is asked for what it holds, because it may change.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// How long the rows may take to equal the vCenter when nobody watches.
const PATIENCE: Duration = Duration::from_secs(180);

/// So many differences are enough to see what is wrong.
const DIFFERENCES_SHOWN: usize = 20;

/// What to try when the rows are there.
const NEXT: &str = include_str!("demo/next.txt");

/// What `stack demo` is told.
#[derive(Debug)]
pub struct Demo {
    /// Servers that run already.
    pub external: External,
    /// What the vCenter simulator holds.
    pub inventory: Inventory,
    /// End when the rows equal the vCenter, and stop everything.
    pub once: bool,
}

/// Where everything is while the demo runs.
struct Scene {
    variables: Vec<(&'static str, String)>,
    vcenter: Access,
    logs: PathBuf,
    report: fn(&str),
}

/// Starts the stack, applies the schemas, runs the orchestrator, and shows the rows coming in until
/// Ctrl-C or, with [`Demo::once`], until they equal the vCenter. Workers always end with it.
///
/// # Errors
/// [`Error::Different`] or [`Error::Held`], or what could not be started.
pub async fn demo(demo: &Demo, report: fn(&str)) -> Result<(), Error> {
    let stack = Stack::open(report)?;
    stack.up(&demo.external, Some(&demo.inventory)).await?;
    let logs = folders::make(folders::stack_folder().join("demo"))?;
    let scene = Scene { variables: stack.variables()?, vcenter: stack.vcenter(), logs, report };
    // Other commands, such as `stack env`, may have it meanwhile.
    drop(stack);
    let shown = scene.play(demo.once).await;
    if demo.once {
        Stack::open(report)?.down().await?;
    } else {
        report(
            "the servers still run: `make stack-down` stops them, `make clean` deletes their data",
        );
    }
    shown
}

impl Scene {
    async fn play(&self, once: bool) -> Result<(), Error> {
        self.apply_schemas().await?;
        let workers = Workers::start(&self.variables, &self.logs)?;
        let shown = tokio::select! {
            shown = self.show(&workers, once) => shown,
            _ = tokio::signal::ctrl_c() => {
                (self.report)("\nstopping: collector first, then persister");
                Ok(())
            }
        };
        workers.stop().await.and(shown)
    }

    /// Prints what was changed.
    async fn apply_schemas(&self) -> Result<(), Error> {
        let mut command: Command = program::binary("schemas")?;
        command.arg("apply").envs(self.variables.iter().map(|(name, value)| (name, value)));
        let printed = run(command).await?;
        let (unchanged, changed): (Vec<_>, Vec<_>) =
            printed.lines().partition(|line| line.ends_with("unchanged"));
        changed.iter().for_each(|line| (self.report)(&format!("  {line}")));
        let counts = format!("{} changed, {} as they were", changed.len(), unchanged.len());
        (self.report)(&format!("schemas    applied: {counts}"));
        Ok(())
    }

    async fn show(&self, workers: &Workers, once: bool) -> Result<(), Error> {
        let mut view = View {
            scene: self,
            workers,
            rows: self.connect().await?,
            census: Census::of_vcenter(&self.vcenter).await?,
            counted: Instant::now(),
            screen: Screen::new(self.report),
            snapshot: Snapshot::default(),
            started: Instant::now(),
        };
        view.until_equal(once.then_some(PATIENCE)).await?;
        if once {
            return Ok(());
        }
        (self.report)(NEXT);
        loop {
            view.look().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        let url = self.variables.iter().find(|(name, _)| *name == "DATABASE_URL");
        let url = url.map(|(_, value)| value.as_str()).unwrap_or_default();
        PgConnection::connect(url).await.map_err(Error::database("connecting"))
    }
}

/// What somebody who watches sees.
struct View<'a> {
    scene: &'a Scene,
    workers: &'a Workers,
    rows: PgConnection,
    census: Census,
    counted: Instant,
    screen: Screen,
    snapshot: Snapshot,
    started: Instant,
}

impl View<'_> {
    /// Shows the rows until they equal the vCenter; with patience, no longer than that.
    async fn until_equal(&mut self, patience: Option<Duration>) -> Result<(), Error> {
        loop {
            self.look().await?;
            let differences = self.differences().await?;
            if differences.is_empty() {
                self.tell_equal();
                return Ok(());
            }
            if let Some(patience) = patience {
                self.workers.check()?;
                if self.started.elapsed() > patience {
                    return Err(self.different(&differences).await);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Draws the screen.
    async fn look(&mut self) -> Result<(), Error> {
        if self.counted.elapsed() > COUNT_EVERY {
            self.count().await?;
        }
        let mut types = Vec::new();
        for entity_type in Census::entity_types() {
            let statement = format!(
                "SELECT count(*), extract(epoch FROM clock_timestamp() - max(changed_at))::float8 \
                 FROM inventory.\"{entity_type}\" WHERE source = $1"
            );
            let (rows, newest_change_seconds) = sqlx::query_as(AssertSqlSafe(statement))
                .bind(SOURCE)
                .fetch_one(&mut self.rows)
                .await
                .map_err(Error::database(format!("counting the rows of {entity_type}")))?;
            let objects = self.census.count(entity_type);
            types.push(TypeLine { entity_type, rows, objects, newest_change_seconds });
        }
        let (lag, workers) = (self.workers.lag().await, self.workers.lines());
        self.snapshot = Snapshot { types, lag, workers };
        self.screen.show(&self.snapshot);
        Ok(())
    }

    /// Not asked while rows are missing: comparing all of them would take the time of those who
    /// bring them.
    async fn differences(&mut self) -> Result<Vec<String>, Error> {
        if !self.snapshot.is_complete() {
            return Ok(vec!["there are more or fewer rows than objects".to_owned()]);
        }
        let rows = Census::of_rows(&mut self.rows, SOURCE).await?;
        let differences = self.census.differences(&rows);
        if !differences.is_empty() {
            // The vCenter may have changed since it was asked.
            self.count().await?;
        }
        Ok(differences)
    }

    async fn count(&mut self) -> Result<(), Error> {
        self.census = Census::of_vcenter(&self.scene.vcenter).await?;
        self.counted = Instant::now();
        Ok(())
    }

    fn tell_equal(&mut self) {
        self.screen.keep(&self.snapshot);
        let (objects, facts) = (self.census.len(), self.census.facts());
        let seconds = self.started.elapsed().as_secs_f64();
        (self.scene.report)(&format!(
            "the rows equal the vCenter {seconds:.1} s after the workers were started: \
             {objects} objects, {facts} facts compared"
        ));
    }

    async fn different(&mut self, seen: &[String]) -> Error {
        let rows = Census::of_rows(&mut self.rows, SOURCE).await;
        let all = rows.map_or_else(|_| seen.to_vec(), |rows| self.census.differences(&rows));
        let first: Vec<String> =
            all.iter().take(DIFFERENCES_SHOWN).map(|line| format!("  {line}")).collect();
        Error::Different {
            seconds: self.started.elapsed().as_secs(),
            count: all.len(),
            first: first.join("\n"),
            workers: self.workers.lines().iter().map(|line| format!("  {line}\n")).collect(),
            logs: self.scene.logs.clone(),
        }
    }
}
