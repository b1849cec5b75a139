//! The command line of `schemas`.

use clap::{Parser, Subcommand, ValueEnum};
use records::{EntityType, TypeName};
use schemas::{Report, Settings};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Brings Kafka, the schema registry and PostgreSQL to what the schemas say.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make topics, register schemas, make and widen tables, views and roles.
    Apply {
        /// A folder of more .avsc files.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// A YAML file with settings.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// How to tell what was done.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Show entity types, or the columns of one.
    Show {
        /// An entity type, such as virtual_machine.
        entity_type: Option<String>,
        /// A folder of more .avsc files.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the default settings.
    Settings,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] chassis::Mistakes),
    #[error(transparent)]
    Apply(#[from] schemas::Unfinished),
    #[error(transparent)]
    Source(#[from] schemas::SourceError),
    #[error("there is no entity type {0:?}; `schemas show` lists them, --dir DIR adds more")]
    UnknownType(String),
}

impl chassis::ExitKind for Failure {
    fn is_final(&self) -> bool {
        match self {
            Self::Apply(unfinished) => unfinished.is_final(),
            _ => true,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Apply { dir, config, output } => {
            apply(dir.as_deref(), config.as_deref(), output).await
        }
        Command::Show { entity_type, dir } => show(dir.as_deref(), entity_type.as_deref()),
        Command::Settings => {
            print(schemas::DEFAULTS);
            Ok(())
        }
    };
    chassis::exit::code(&result)
}

async fn apply(dir: Option<&Path>, config: Option<&Path>, output: Output) -> Result<(), Failure> {
    let settings = Settings::load(config)?;
    chassis::telemetry::init(&settings.log);
    let (files, wrong) = schemas::load(dir);
    let report = schemas::apply::apply(&settings, (&files, &wrong)).await;
    print(&text(&report, output));
    Ok(report.conclude()?)
}

fn text(report: &Report, output: Output) -> String {
    match output {
        Output::Text => report.to_string(),
        Output::Json => format!("{:#}\n", report.json()),
    }
}

fn show(dir: Option<&Path>, wanted: Option<&str>) -> Result<(), Failure> {
    let (files, wrong) = schemas::load(dir);
    if let Some(error) = wrong.into_iter().next() {
        return Err(error.into());
    }
    let types: Vec<EntityType> = files.into_iter().filter_map(|file| file.entity).collect();
    let Some(wanted) = wanted else {
        let line = |entity: &EntityType| {
            format!("{}  {} attributes\n", entity.name(), entity.attributes().len())
        };
        print(&types.iter().map(line).collect::<String>());
        return Ok(());
    };
    // The last one is the newest version that the folder has.
    let found = types.iter().rfind(|entity| entity.name().as_str() == wanted);
    print(&columns(found.ok_or_else(|| Failure::UnknownType(wanted.to_owned()))?));
    Ok(())
}

fn columns(entity: &EntityType) -> String {
    let attributes = entity.attributes();
    let width = attributes.iter().map(|a| a.name.as_str().len()).max().unwrap_or_default();
    let mut text = format!("{} ({})\n", entity.name(), entity.subject());
    for attribute in attributes {
        let (name, column) = (attribute.name.as_str(), attribute.column.sql());
        let targets: Vec<&str> = attribute.references.iter().map(TypeName::as_str).collect();
        let arrow = if targets.is_empty() { "" } else { "-> " };
        let doc = attribute.doc.as_deref().unwrap_or_default();
        let line = format!("  {name:<width$}  {column:<24}  {arrow}{}  {doc}", targets.join(" | "));
        writeln!(text, "{}", line.trim_end()).expect("a String takes all");
    }
    text
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
