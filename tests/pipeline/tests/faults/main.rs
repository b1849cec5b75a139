//! Whatever happens to persisters under load, each record counts once and rows equal the model.
#![expect(clippy::print_stdout, reason = "the counts are for whoever reads the run")]

mod crashes;
mod rebalances;
mod zombies;
