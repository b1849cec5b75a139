//! The persister's command line.

use chassis::{Health, exit, shutdown, telemetry};
use clap::{Parser, Subcommand};
use persister::{COMPONENTS, Metrics, PersistError, Settings, run};
use prometheus_client::registry::Registry;
use std::path::PathBuf;
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
        /// A YAML file with settings.
        #[arg(long)]
        config: Option<PathBuf>,
        /// The consumer group, instead of the settings' one.
        #[arg(long)]
        group: Option<String>,
        /// This member's lasting name in the group.
        #[arg(long)]
        instance: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run { config, group, instance } = Arguments::parse().command;
    let settings = Settings::load(config.as_deref()).map(|mut settings| {
        settings.group = group.unwrap_or(settings.group);
        settings.instance = instance.or(settings.instance);
        settings
    });
    exit::code(&match settings {
        Ok(settings) => serve(settings).await,
        Err(mistakes) => Err(mistakes.into()),
    })
}

async fn serve(settings: Settings) -> Result<(), PersistError> {
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
