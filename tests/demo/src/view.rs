//! What somebody who watches sees: rows and objects, until they are equal.

use crate::screen::{Screen, Snapshot, TypeLine};
use crate::workers::Workers;
use crate::{Error, Scene, print};
use harness::Census;
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::{Duration, Instant};

/// The source of `deploy/examples/demo.yaml`.
const SOURCE: &str = "vcsim";

/// How often the screen is drawn anew.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the vCenter is asked for what it holds, because it may change.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// So many differences are enough to see what is wrong.
const DIFFERENCES_SHOWN: usize = 20;

/// What somebody who watches sees.
pub struct View<'a> {
    scene: &'a Scene,
    workers: &'a Workers,
    rows: PgConnection,
    census: Census,
    counted: Instant,
    screen: Screen,
    snapshot: Snapshot,
    started: Instant,
}

impl<'a> View<'a> {
    /// Begins to look.
    pub async fn new(
        scene: &'a Scene,
        workers: &'a Workers,
        rows: PgConnection,
    ) -> Result<Self, Error> {
        Ok(Self {
            census: scene.vcenter.census().await?,
            scene,
            workers,
            rows,
            counted: Instant::now(),
            screen: Screen::new(),
            snapshot: Snapshot::default(),
            started: Instant::now(),
        })
    }

    /// Goes on to show them.
    pub async fn for_ever(&mut self) -> Result<(), Error> {
        loop {
            self.look().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Shows the rows until they equal the vCenter; with patience, no longer than that.
    pub async fn until_equal(&mut self, patience: Option<Duration>) -> Result<(), Error> {
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
                .await?;
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
        self.census = self.scene.vcenter.census().await?;
        self.counted = Instant::now();
        Ok(())
    }

    fn tell_equal(&mut self) {
        self.screen.keep(&self.snapshot);
        let (objects, facts) = (self.census.len(), self.census.facts());
        let seconds = self.started.elapsed().as_secs_f64();
        print(&format!(
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
