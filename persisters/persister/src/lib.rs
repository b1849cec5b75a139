//! Folds inventory records into PostgreSQL: knows records and tables, and no provider's name.

mod apply;
mod dead_letters;
mod decode;
mod ends;
mod error;
mod express;
mod inbox;
mod isolate;
mod lag;
mod lane;
mod licence;
mod metrics;
mod partitions;
mod purge;
mod quiet;
mod run;
mod settings;
mod step;

pub use catalog::Types;
pub use decode::{Decoded, Rejected, Step, Work, decode};
pub use error::PersistError;
pub use inventory::Counts;
pub use licence::Licence;
pub use metrics::Metrics;
pub use partitions::SESSION;
pub use run::{COMPONENTS, run};
pub use settings::{DEFAULTS, Settings};
pub use step::apply;
