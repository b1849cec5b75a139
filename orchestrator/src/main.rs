//! The command line of the orchestrator.

use clap::{Parser, Subcommand, ValueEnum};
use orchestrator::{Desired, Error, Settings, Status};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs collectors and persisters as manifests ask for them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep the workers of the manifests running, until SIGTERM or Ctrl-C.
    Run {
        /// A manifest; may be repeated.
        #[arg(short, long = "file", value_name = "FILE", required = true)]
        file: Vec<PathBuf>,
        /// Settings that differ from the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Tell the mistakes of manifests, or the workers that they ask for.
    Check {
        /// A manifest; may be repeated.
        #[arg(short, long = "file", value_name = "FILE", required = true)]
        file: Vec<PathBuf>,
        /// For people or for programs.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Show the workers of an orchestrator that runs on this machine.
    Status {
        /// Its process.log_folder.
        #[arg(long, value_name = "FOLDER", default_value = "tributary-logs")]
        log_folder: PathBuf,
        /// For people or for programs.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Print the default settings.
    Settings,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { file, config } => run(file, config.as_deref()).await,
        Command::Check { file, output } => check(&file, output),
        Command::Status { log_folder, output } => status(log_folder, output),
        Command::Settings => {
            print(orchestrator::DEFAULTS);
            Ok(())
        }
    };
    chassis::exit::code(&result)
}

async fn run(files: Vec<PathBuf>, config: Option<&Path>) -> Result<(), Error> {
    let settings = Settings::load(config)?;
    chassis::telemetry::init(&settings.log);
    orchestrator::run(settings, files, chassis::shutdown::token()).await
}

fn check(files: &[PathBuf], output: Output) -> Result<(), Error> {
    let workers = orchestrator::manifest::load(files)?;
    print(&match output {
        Output::Text => workers.keys().map(|name| format!("{name}\n")).collect(),
        Output::Json => format!("{:#}\n", described(&workers)),
    });
    Ok(())
}

/// Each worker by its name, as `status` has them: what it will run, and with which arguments.
fn described(workers: &Desired) -> Value {
    let worker = |(name, worker): (&String, &orchestrator::Worker)| {
        let program = worker.program.to_string();
        (name.clone(), json!({"program": program, "arguments": worker.arguments}))
    };
    json!({"workers": workers.iter().map(worker).collect::<serde_json::Map<_, _>>()})
}

fn status(log_folder: PathBuf, output: Output) -> Result<(), Error> {
    let status =
        Status::read(&log_folder).map_err(|source| Error::Status { path: log_folder, source })?;
    print(&match output {
        Output::Text => status.to_string(),
        Output::Json => format!("{:#}\n", json!(status)),
    });
    Ok(())
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
