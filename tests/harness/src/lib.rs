//! Starts the real parts that Tributary stands between: for the end-to-end tests, and as the
//! local stack on a developer's machine.
//!
//! * [`World`] is what one test gets: Kafka, registry and PostgreSQL of the test run, a topic
//!   prefix and a database of its own, a vCenter simulator and the workspace's programs on request.
//! * [`Stack`] is the same set of parts, left running in the background by the `stack` binary.
//! * [`Kafka`], [`Registry`], [`Postgres`] and [`Vcsim`] can be started, killed and restarted
//!   one by one through their [`Server`].
//!
//! Everything listens on 127.0.0.1 only, on ports that were free. Nothing is ended but what was
//! started here, recognised by process id and start time.

mod arguments;
mod census;
mod error;
mod folders;
mod java;
mod kafka;
mod network;
mod postgres;
mod process;
mod program;
mod registry;
mod secured;
mod server;
mod stack;
mod state;
mod vcsim;
mod wait;
mod world;

pub use arguments::UpArguments;
pub use census::Census;
pub use error::Error;
pub use kafka::{Kafka, KafkaPorts};
pub use network::http_get;
pub use postgres::{Durability, Fill, Home, Postgres, Template};
pub use process::{Lifetime, ProcessId, own_sessions};
pub use program::Program;
pub use registry::Registry;
pub use secured::SecuredKafka;
pub use server::Server;
pub use stack::{External, Stack};
pub use vcsim::{Access, Inventory, Vcsim};
pub use wait::wait_until;
pub use world::{Parts, World};
