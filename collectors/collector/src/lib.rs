//! The engine around a provider: it keeps the duties of a collector, whatever is collected.
//!
//! ```text
//! provider -> Observation -> inventory (order, guard, encode) -> outlet -> Kafka
//! ```

mod context;
mod control;
mod error;
mod extents;
mod formats;
mod guard;
mod inventory;
mod lease;
mod manifest;
mod metrics;
mod outlet;
mod pace;
mod providers;
#[cfg(test)]
mod recorder;
mod run;
mod settings;
mod stream;

pub use error::CollectError;
pub use manifest::Manifest;
pub use metrics::Metrics;
pub use run::{Collector, run};
pub use settings::{DEFAULTS, Settings};
