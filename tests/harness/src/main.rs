//! `stack`: brings the local stack up and down, and tells where it is.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use harness::{Demo, Error, External, Inventory, Stack};

/// Kafka, schema registry, PostgreSQL and a vCenter simulator on this machine, to try things out.
///
/// A server whose address stands in KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL or DATABASE_URL is
/// used as it is; the others are started. All data stay in `.stack` between `down` and `up`.
#[derive(Parser)]
#[command(name = "stack")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start what does not run yet, and print how to reach it
    Up(Up),
    /// Run the whole pipeline on the stack: from the vCenter simulator to rows
    Demo {
        #[command(flatten)]
        up: Up,
        /// End when the rows equal the vCenter, and stop everything
        #[arg(long)]
        once: bool,
    },
    /// Stop what was started; the data stay
    Down,
    /// Say what runs where; exits 1 when something does not run
    Status,
    /// Print the addresses for a shell: eval "$(stack env)"
    Env,
    /// Stop what was started and delete its data
    Reset,
}

#[derive(Args)]
struct Up {
    /// How many VMs the vCenter simulator builds; 40 ms each
    #[arg(long, default_value_t = 200)]
    vms: u32,
    /// A folder written by `govc object.save` that the simulator loads instead
    #[arg(long, conflicts_with = "vms", value_name = "DIR")]
    inventory: Option<PathBuf>,
    /// Leave the vCenter simulator out
    #[arg(long, conflicts_with_all = ["vms", "inventory"])]
    no_vcsim: bool,
    #[command(flatten)]
    external: Given,
}

#[derive(Args)]
struct Given {
    /// A Kafka that runs already
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", hide_env_values = true, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// A schema registry that runs already
    #[arg(long, env = "SCHEMA_REGISTRY_URL", hide_env_values = true, value_name = "URL")]
    registry: Option<String>,
    /// A PostgreSQL database that exists already
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().action).await {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to be done if not even this can be written.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(action: Action) -> Result<ExitCode, Error> {
    if let Action::Demo { up, once } = action {
        let demo = Demo { external: up.external(), inventory: up.chosen(), once };
        return harness::demo(&demo, |line| print(line)).await.map(|()| ExitCode::SUCCESS);
    }
    let stack = Stack::open(|line| print(line))?;
    match action {
        Action::Up(up) => {
            stack.up(&up.external(), up.inventory().as_ref()).await?;
            print_variables(&stack)?;
        }
        Action::Demo { .. } => {}
        Action::Down => stack.down().await?,
        Action::Status => {
            stack.status();
            return Ok(if stack.is_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Action::Env => print_variables(&stack)?,
        Action::Reset => stack.reset().await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Up {
    fn inventory(&self) -> Option<Inventory> {
        (!self.no_vcsim).then(|| self.chosen())
    }

    fn chosen(&self) -> Inventory {
        self.inventory.clone().map_or(Inventory::Vms(self.vms), Inventory::Saved)
    }

    fn external(&self) -> External {
        let Given { kafka, registry, database } = &self.external;
        External { kafka: kafka.clone(), registry: registry.clone(), database: database.clone() }
    }
}

fn print_variables(stack: &Stack) -> Result<(), Error> {
    for (name, value) in stack.variables()? {
        print(format!("export {name}='{}'", value.replace('\'', r"'\''")));
    }
    Ok(())
}

/// A closed pipe is no reason to leave a start half-done.
fn print(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
