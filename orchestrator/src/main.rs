//! The command line of the orchestrator.

use clap::{Parser, Subcommand};
use orchestrator::{Error, Settings, Status};
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
    },
    /// Show the workers of an orchestrator that runs on this machine.
    Status {
        /// Its process.log_folder.
        #[arg(long, value_name = "FOLDER", default_value = "tributary-logs")]
        log_folder: PathBuf,
    },
    /// Print the default settings.
    Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { file, config } => run(file, config.as_deref()).await,
        Command::Check { file } => check(&file),
        Command::Status { log_folder } => status(log_folder),
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

fn check(files: &[PathBuf]) -> Result<(), Error> {
    for name in orchestrator::manifest::load(files)?.keys() {
        print(&format!("{name}\n"));
    }
    Ok(())
}

fn status(log_folder: PathBuf) -> Result<(), Error> {
    let status =
        Status::read(&log_folder).map_err(|source| Error::Status { path: log_folder, source })?;
    print(&status.to_string());
    Ok(())
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
