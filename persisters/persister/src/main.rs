//! The persister's command line.

use chassis::{Health, Mistakes, exit, shutdown, telemetry};
use clap::{Args, Parser, Subcommand};
use operator::{Common, Output};
use persister::{COMPONENTS, Metrics, PersistError, Settings, run};
use positions::rewind::{Rewind, Target, rewind};
use positions::show::{json, show, table};
use prometheus_client::registry::Registry;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// Folds inventory records from Kafka into PostgreSQL.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Join the consumer group and apply records until stopped.
    Run {
        #[command(flatten)]
        common: Common,
        /// This member's lasting name in the group.
        #[arg(long)]
        instance: Option<String>,
    },
    /// How far PostgreSQL is on each partition.
    #[command(subcommand)]
    Positions(PositionsCommand),
    #[command(flatten)]
    Operator(operator::Command),
    /// Print the default settings, commented.
    Settings,
}

#[derive(Subcommand)]
enum PositionsCommand {
    /// Show them beside Kafka's ends and the group's committed offsets.
    Show {
        #[command(flatten)]
        common: Common,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Move them; persisters that run notice it. Records that are applied twice change nothing.
    Rewind {
        #[command(flatten)]
        common: Common,
        /// The topic, with or without its prefix.
        #[arg(long)]
        topic: String,
        /// One partition instead of all.
        #[arg(long)]
        partition: Option<i32>,
        #[command(flatten)]
        target: TargetArguments,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TargetArguments {
    /// To the oldest records that Kafka keeps.
    #[arg(long)]
    to_beginning: bool,
    /// To this offset.
    #[arg(long, value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// To the first record at or after a time such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
}

fn settings(common: &Common) -> Result<Settings, Mistakes> {
    let mut settings = Settings::load(common.config.as_deref())?;
    settings.group = common.group.clone().unwrap_or(settings.group);
    Ok(settings)
}

impl From<TargetArguments> for Target {
    fn from(arguments: TargetArguments) -> Self {
        match (arguments.to_offset, arguments.to_time) {
            (Some(offset), _) => Self::Offset(offset),
            (None, Some(time)) => Self::Time(time),
            (None, None) => Self::Beginning,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(&match Arguments::parse().command {
        Command::Operator(command) => {
            let load = |common: &Common| settings(common).map(|settings| settings.servers());
            return exit::code(&operator::run(command, load).await);
        }
        Command::Run { common, instance } => serve(common, instance).await,
        Command::Positions(command) => positions(command).await,
        Command::Settings => {
            print(persister::DEFAULTS);
            Ok(())
        }
    })
}

async fn serve(common: Common, instance: Option<String>) -> Result<(), PersistError> {
    let mut settings = settings(&common)?;
    settings.instance = instance.or(settings.instance);
    telemetry::init(&settings.log);
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (stop, drained) = (shutdown::token(), tokio_util::sync::CancellationToken::new());
    let health = Health::awaiting(&COMPONENTS);
    let admin =
        chassis::admin::serve(&settings.admin, Arc::new(registry), health.clone(), drained.clone());
    let work = async {
        let result = run(&settings, &metrics, &health, stop).await;
        drained.cancel();
        result
    };
    let (served, worked) = tokio::join!(admin, work);
    worked.and(served.map_err(PersistError::Admin))
}

async fn positions(command: PositionsCommand) -> Result<(), PersistError> {
    match command {
        PositionsCommand::Show { common, output } => {
            let lines = show(&settings(&common)?.access()).await?;
            print(&match output {
                Output::Text => table(&lines),
                Output::Json => format!("{:#}\n", json(&lines)),
            });
        }
        PositionsCommand::Rewind { common, topic, partition, target } => {
            let wanted = Rewind { topic, partition, target: target.into() };
            for moved in rewind(&settings(&common)?.access(), &wanted).await? {
                print(&format!("{moved}\n"));
            }
        }
    }
    Ok(())
}

/// Nothing is left to do when stdout is closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
