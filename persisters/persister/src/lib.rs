//! Folds inventory records into PostgreSQL: knows records and tables, and no provider's name.

mod apply;
mod dead_letters;
mod decode;
mod error;
mod isolate;
mod lane;
mod live;
mod metrics;
mod parameter;
mod run;
mod settings;
mod step;
mod sweep;
mod transaction;
mod types;
mod upserts;

pub use error::PersistError;
pub use metrics::Metrics;
pub use run::run;
pub use settings::{DEFAULTS, Settings};
