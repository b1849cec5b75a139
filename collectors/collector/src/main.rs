//! The collector's command line.

use chassis::{Health, exit, shutdown, telemetry};
use clap::{Parser, Subcommand, ValueEnum};
use collector::{CollectError, Collector, Manifest, Metrics, Settings, run};
use prometheus_client::registry::Registry;
use provider::Report;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Watches one source and publishes what it sees to Kafka.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Collect until stopped.
    Run {
        #[command(flatten)]
        provider: ProviderArguments,
        /// A YAML file with settings.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Connect, and show what can be seen there. Needs no Kafka.
    Check {
        #[command(flatten)]
        provider: ProviderArguments,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Print the default settings, commented.
    Settings,
}

#[derive(clap::Args)]
struct ProviderArguments {
    /// A YAML file with a manifest of kind Provider.
    #[arg(short, long)]
    file: PathBuf,
    /// Which one, if the file has several.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(&match Arguments::parse().command {
        Command::Run { provider, config } => serve(&provider, config.as_deref()).await,
        Command::Check { provider, output } => check(&provider, output).await,
        Command::Settings => {
            write!(std::io::stdout().lock(), "{}", collector::DEFAULTS).map_err(Into::into)
        }
    })
}

async fn serve(arguments: &ProviderArguments, config: Option<&Path>) -> Result<(), CollectError> {
    let settings = Settings::load(config);
    let manifest = Manifest::load(&arguments.file, arguments.name.as_deref());
    let (settings, manifest) = CollectError::both(settings.map_err(Into::into), manifest)?;
    telemetry::init(&settings.log);
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (stop, drained) = (shutdown::token(), CancellationToken::new());
    let health = Health::awaiting(&["provider"]);
    let admin_settings = settings.admin.clone();
    let admin =
        chassis::admin::serve(&admin_settings, Arc::new(registry), health.clone(), drained.clone());
    let collector = Collector { source: manifest.source.clone(), settings, metrics, health };
    let work = async {
        let _drained = drained.drop_guard();
        run(&collector, &mut *manifest.open()?, stop.clone()).await
    };
    let admin = async {
        let served = admin.await;
        stop.cancel();
        served
    };
    let (worked, served) = tokio::join!(work, admin);
    worked.and(served.map_err(Into::into))
}

async fn check(arguments: &ProviderArguments, output: Output) -> Result<(), CollectError> {
    let manifest = Manifest::load(&arguments.file, arguments.name.as_deref())?;
    let report = manifest.open()?.check().await?;
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => print(&report, &mut out)?,
        Output::Json => {
            let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
            writeln!(out, "{json}")?;
        }
    }
    Ok(())
}

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "API      {}\naccount  {}\n\nprivilege", report.api, report.account)?;
    for privilege in &report.privileges {
        let granted = if privilege.granted { "granted" } else { "MISSING" };
        writeln!(out, "  {:<30} {granted:>10}", privilege.name)?;
    }
    writeln!(out, "\nobjects")?;
    for (entity_type, count) in &report.objects {
        writeln!(out, "  {entity_type:<30} {count:>10}")?;
    }
    Ok(())
}
