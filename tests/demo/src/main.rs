//! The main job on the local stack, shown while it goes on: from a vCenter simulator to rows.

mod screen;
mod view;
mod workers;

use clap::Parser;
use harness::{Access, Program, Stack, UpArguments};
use sqlx::{Connection, PgConnection};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use view::View;
use workers::Workers;

/// How long `schemas apply` may take.
const APPLY_PATIENCE: Duration = Duration::from_secs(120);

/// How long the rows may take to equal the vCenter when nobody watches.
const PATIENCE: Duration = Duration::from_secs(180);

/// What to try when the rows are there.
const NEXT: &str = include_str!("next.txt");

/// Runs the whole pipeline on the local stack and shows the rows coming in, until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    up: UpArguments,
    /// End when the rows equal the vCenter, and stop everything
    #[arg(long)]
    once: bool,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A part of the stack, or a program.
    #[error(transparent)]
    Stack(#[from] harness::Error),
    /// The rows can't be read.
    #[error("reading the rows from PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// Topics, schemas or tables could not be made.
    #[error("`schemas apply` failed ({status}):\n{printed}")]
    Apply { status: ExitStatus, printed: String },
    /// It should run until it is stopped.
    #[error("the orchestrator has ended ({status}); see {}", log.display())]
    Orchestrator { status: ExitStatus, log: PathBuf },
    /// A worker can only be mended by a person.
    #[error("{worker} can't go on: {reason}")]
    Held { worker: String, reason: String },
    /// The rows are not what the vCenter holds.
    #[error(
        "after {seconds} s the rows differ from the vCenter in {count} ways:\n{first}\n{workers}\
         the logs are in {}", logs.display()
    )]
    Different { seconds: u64, count: usize, first: String, workers: String, logs: PathBuf },
}

/// Where everything is while the demo runs.
struct Scene {
    variables: Vec<(&'static str, String)>,
    vcenter: Access,
    logs: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if not even this can be written.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Workers always end with it; the servers only with `--once`.
async fn run(arguments: &Arguments) -> Result<(), Error> {
    let stack = Stack::open(print)?;
    stack.up(&arguments.up.external(), arguments.up.inventory().as_ref()).await?;
    let logs = stack.folder().join("demo");
    std::fs::create_dir_all(&logs)
        .map_err(|source| harness::Error::File { path: logs.clone(), source })?;
    let scene = Scene { variables: stack.variables()?, vcenter: stack.vcenter(), logs };
    // Other commands, such as `stack env`, may have it meanwhile.
    drop(stack);
    let played = scene.play(arguments.once).await;
    if arguments.once {
        Stack::open(print)?.down().await?;
    } else {
        print(
            "the servers still run: `make stack-down` stops them, `make clean` deletes their data",
        );
    }
    played
}

impl Scene {
    async fn play(&self, once: bool) -> Result<(), Error> {
        self.apply_schemas().await?;
        let workers = Workers::start(&self.variables, &self.logs)?;
        let shown = tokio::select! {
            shown = self.show(&workers, once) => shown,
            _ = tokio::signal::ctrl_c() => {
                print("\nstopping: the collector first, then the persister");
                Ok(())
            }
        };
        workers.stop().await.and(shown)
    }

    /// Prints what was changed.
    async fn apply_schemas(&self) -> Result<(), Error> {
        let log = self.logs.join("schemas.log");
        // The log of an earlier run would be taken for this one's.
        let _ = std::fs::remove_file(&log);
        let schemas = Program::of_workspace("schemas", log, |command| {
            command.arg("apply").envs(self.variables.iter().map(|(name, value)| (name, value)))
        })?;
        let status = schemas.wait(APPLY_PATIENCE).await?;
        let printed = schemas.output()?;
        if !status.success() {
            return Err(Error::Apply { status, printed });
        }
        let (unchanged, changed): (Vec<_>, Vec<_>) =
            printed.lines().partition(|line| line.ends_with("unchanged"));
        changed.iter().for_each(|line| print(&format!("  {line}")));
        let counts = format!("{} changed, {} as they were", changed.len(), unchanged.len());
        print(&format!("schemas    applied: {counts}"));
        Ok(())
    }

    async fn show(&self, workers: &Workers, once: bool) -> Result<(), Error> {
        let url = self.variables.iter().find(|(name, _)| *name == "DATABASE_URL");
        let url = url.map(|(_, value)| value.as_str()).unwrap_or_default();
        let rows = PgConnection::connect(url).await?;
        let mut view = View::new(self, workers, rows).await?;
        view.until_equal(once.then_some(PATIENCE)).await?;
        if once {
            return Ok(());
        }
        print(NEXT);
        view.for_ever().await
    }
}

/// A closed pipe is no reason to leave a start half-done.
fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
