//! Folds inventory records into PostgreSQL: knows records and tables, and no provider's name.

mod dead_letters;
mod decode;
mod error;
mod lane;
mod live;
mod metrics;
mod parameter;
mod purge;
mod run;
mod settings;
mod step;
mod sweep;
mod transaction;
mod types;
mod upserts;

pub use decode::{Rejected, Step, Work, decode};
pub use error::PersistError;
pub use metrics::Metrics;
pub use purge::purge;
pub use run::run;
pub use settings::{DEFAULTS, Settings};
pub use step::apply;
pub use types::Types;
pub use upserts::Counts;
