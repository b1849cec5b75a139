//! `stack`: brings the local stack up and down, and tells where it is.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::{Error, Stack, UpArguments};

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
    Up(UpArguments),
    /// Stop what was started; the data stay
    Down,
    /// Say what runs where; exits 1 when something does not run
    Status,
    /// Print the addresses for a shell: eval "$(stack env)"
    Env,
    /// Stop what was started and delete its data
    Reset,
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
    let stack = Stack::open(|line| print(line))?;
    match action {
        Action::Up(up) => {
            stack.up(&up.external(), up.inventory().as_ref()).await?;
            print_variables(&stack)?;
        }
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
