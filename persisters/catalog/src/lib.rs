//! What schema ids mean, and whether the tables of their types are ready.

mod error;
mod remembered;
mod types;
mod waiting;
mod watch;

pub use error::CatalogError;
pub use types::{Known, Meaning, Table, Types};
pub use waiting::{Skipped, Waiting, park, release};
pub use watch::watch;
