//! The persister's commands for people who operate it: what they see, and what they send again.

mod avro_json;
mod dead_letters;
mod error;
mod time;

use clap::{Args, Subcommand, ValueEnum};
use positions::Access;
use std::io::Write;
use std::path::PathBuf;
use wire::RegistrySettings;

pub use dead_letters::DeadLettersCommand;
pub use error::OperatorError;

/// What people ask for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rejected records: see them, and send them again.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// A YAML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The consumer group, instead of the settings' one.
    #[arg(long)]
    pub group: Option<String>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Servers {
    /// Kafka, PostgreSQL and the group.
    pub access: Access,
    /// The schema registry.
    pub registry: RegistrySettings,
}

/// Runs a command; `load` reads the settings, for those commands that need servers.
///
/// # Errors
/// [`OperatorError`].
pub async fn run(
    command: Command,
    load: impl Fn(&Common) -> Result<Servers, chassis::Mistakes>,
) -> Result<(), OperatorError> {
    match command {
        Command::DeadLetters(command) => {
            let servers = load(command.common())?;
            command.run(&servers).await
        }
    }
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
