//! The persister's commands for people who operate it: what they see, and what they send again.

mod avro_json;
mod dead_letters;
mod error;
mod explain;
mod status;
mod time;

use crate::explain::{Subject, explain, explain_file};
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
    /// How the group is doing: lag, owners, speed, what waits, dead letters, sources, gaps.
    Status {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// How records of a schema are read, and the statements that write them.
    Explain {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// What is explained.
        #[command(flatten)]
        subject: ExplainArguments,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
}

/// What is explained.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ExplainArguments {
    /// The newest schema of a type that a persister has met.
    #[arg(long = "type", value_name = "TYPE")]
    entity_type: Option<String>,
    /// The schema with this id in the registry.
    #[arg(long)]
    schema_id: Option<i32>,
    /// A file, with the table that `schemas apply` would make of it; needs no server.
    #[arg(long)]
    file: Option<PathBuf>,
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
            command.run(&servers).await?;
        }
        Command::Status { common, output } => {
            let status = status::status(&load(&common)?).await?;
            print(&match output {
                Output::Text => status.text(),
                Output::Json => format!("{:#}\n", status.json()),
            });
        }
        Command::Explain { common, subject, output } => {
            let explained = match (subject.file, subject.schema_id, subject.entity_type) {
                (Some(file), ..) => explain_file(&file)?,
                (None, Some(id), _) => explain(&load(&common)?, Subject::SchemaId(id)).await?,
                (None, None, name) => {
                    explain(&load(&common)?, Subject::Type(name.unwrap_or_default())).await?
                }
            };
            print(&match output {
                Output::Text => explained.text(),
                Output::Json => format!("{:#}\n", explained.json()),
            });
        }
    }
    Ok(())
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
