//! `bench`: ours against plain SQL and against others, on the same content and the same servers.

mod cores;
mod error;
mod flood;
mod floor;
mod freshness;
mod growth;
mod metrics;
mod ours;
mod peers;
mod produce;
mod recovery;
mod report;
mod rig;
mod suite;
mod summary;
mod table;
mod trial;
mod usage;

use clap::{Parser, ValueEnum};
use error::Error;
use peers::Peer;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use suite::{Part, Suite};
use trial::Contender;
use workloads::Workload;

/// How many records `--quick` has.
const QUICK: u64 = 200_000;

/// Measures ours, plain SQL and peers at the same work, in turns, and prints the ratios.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything if nothing is named
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "report")]
    parts: Vec<Part>,
    /// The workloads; all if none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// The peers; Redpanda Connect takes minutes to build
    #[arg(long, value_enum, value_delimiter = ',', default_value = "debezium")]
    peers: Vec<PeerName>,
    /// Leave out the peers
    #[arg(long, conflicts_with = "peers")]
    no_peers: bool,
    /// Records of each workload
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// 200,000 records
    #[arg(long, conflicts_with = "records")]
    quick: bool,
    /// How often each contender does each workload
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How to print the figures
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Also write them to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PeerName {
    Debezium,
    Redpanda,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    let parts = or_all(arguments.parts);
    let meets_peers = [Part::Workloads, Part::Freshness].iter().any(|part| parts.contains(part));
    let peers = if arguments.no_peers || !meets_peers { Vec::new() } else { arguments.peers };
    let suite = Suite {
        parts,
        workloads: or_all(arguments.workloads),
        peers: peers.into_iter().filter_map(fetch).collect(),
        records: if arguments.quick { QUICK } else { arguments.records },
        rounds: arguments.rounds,
    };
    let report = suite.run(say).await?;
    let printed = match arguments.output {
        Output::Text => report.text(),
        Output::Json => report.json(),
    };
    // Nothing is left to do when stdout is closed.
    let _ = writeln!(io::stdout(), "{printed}");
    if let Some(path) = arguments.report {
        std::fs::write(&path, report.markdown()).map_err(Error::at(&path))?;
    }
    Ok(())
}

fn or_all<T: ValueEnum + Clone>(named: Vec<T>) -> Vec<T> {
    if named.is_empty() { T::value_variants().to_vec() } else { named }
}

/// A peer that can't be fetched is left out: the floor still tells what the figures mean.
fn fetch(name: PeerName) -> Option<Peer> {
    let contender = match name {
        PeerName::Debezium => Contender::Debezium,
        PeerName::Redpanda => Contender::Redpanda,
    };
    say(&format!("fetching {}, if it is not there", contender.title()));
    Peer::fetch(contender).inspect_err(|error| say(&format!("left out: {error}"))).ok()
}

/// Progress goes to stderr, so that stdout is the figures alone.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
