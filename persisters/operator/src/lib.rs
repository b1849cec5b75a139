//! The persister's commands for people who operate it: what they see, and what they send again.

mod avro_json;
mod capture;
mod dead_letters;
mod error;
mod explain;
mod status;
mod time;
mod verify;

use crate::capture::capture;
use crate::explain::{Subject, explain, explain_file};
use clap::{Args, Subcommand, ValueEnum};
use positions::Access;
use records::SourceName;
use records::rejection::Origin;
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
    /// How records of a schema are read, and the statements that write them; of records of a topic,
    /// also how many are refused, and how they are folded.
    Explain {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// What is explained.
        #[command(flatten)]
        subject: ExplainArguments,
        /// How many records, from the one that is named on.
        #[arg(long, default_value_t = 100, requires = "records")]
        count: u16,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Compare the rows of a source with its newest complete listing; exits with 1 if any differs.
    ///
    /// The listing is read from the snapshot topic. Of each row, what is newer than the listing is
    /// not compared. Not seen is what retention has removed: a listing of which an extent is gone
    /// is not complete, and an object whose record is gone is only looked for. Not seen either is
    /// what has changed in the source since the listing.
    Verify {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// The source.
        #[arg(long)]
        source: String,
        /// One type instead of all that have a complete listing.
        #[arg(long = "type", value_name = "TYPE")]
        entity_type: Option<String>,
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
    /// The records from this one on, TOPIC/PARTITION/OFFSET; they are read, and not applied.
    #[arg(long, value_name = "FIRST")]
    records: Option<Origin>,
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
        Command::Explain {
            common,
            subject: ExplainArguments { records: Some(first), .. },
            count,
            output,
        } => {
            let captured = capture(&load(&common)?, (first, count)).await?;
            print(&match output {
                Output::Text => captured.text(),
                Output::Json => format!("{:#}\n", captured.json()),
            });
        }
        Command::Explain { common, subject, output, .. } => {
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
        Command::Verify { common, source, entity_type, output } => {
            let source = SourceName::new(source)
                .map_err(|error| OperatorError::Request(error.to_string()))?;
            let wanted = verify::Wanted { source, entity_type };
            let verified = verify::verify(&load(&common)?, &wanted).await?;
            print(&match output {
                Output::Text => verified.text(),
                Output::Json => format!("{:#}\n", verified.json()),
            });
            if verified.drifted > 0 {
                return Err(OperatorError::Drift(verified.drifted));
            }
        }
    }
    Ok(())
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
