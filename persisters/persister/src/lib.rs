//! Folds inventory records into PostgreSQL: knows records and tables, and no provider's name.

mod dead_letters;
mod decode;
mod error;
mod lane;
mod live;
mod metrics;
mod parameter;
mod step;
mod sweep;
mod transaction;
mod types;
mod upserts;

pub use dead_letters::DeadLetters;
pub use error::PersistError;
pub use lane::Lane;
pub use live::LivePositions;
pub use metrics::{Lane as LaneName, Metrics};
pub use transaction::{Owner, take_over};
pub use types::Types;
