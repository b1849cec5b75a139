//! The command line of who starts the stack.

use std::path::PathBuf;

use clap::Args;

use crate::stack::External;
use crate::vcsim::Inventory;

/// What the stack is started with, as arguments of a command line.
#[derive(Debug, Args)]
pub struct UpArguments {
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

#[derive(Debug, Args)]
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

impl UpArguments {
    /// What the vCenter simulator holds; `None`: there is to be none.
    #[must_use]
    pub fn inventory(&self) -> Option<Inventory> {
        let chosen = self.inventory.clone().map_or(Inventory::Vms(self.vms), Inventory::Saved);
        (!self.no_vcsim).then_some(chosen)
    }

    /// Servers that run already.
    #[must_use]
    pub fn external(&self) -> External {
        let Given { kafka, registry, database } = &self.external;
        External { kafka: kafka.clone(), registry: registry.clone(), database: database.clone() }
    }
}
