//! Brings Kafka, the registry and PostgreSQL to what the schemas say: topics, subjects,
//! migrations, tables, views and roles.

pub mod apply;
pub mod database;
mod report;
mod roles;
mod settings;
mod source;
mod subjects;
pub mod tables;
mod topics;

pub use report::{Line, Outcome, Report, Unfinished};
pub use settings::{DEFAULTS, Settings};
pub use source::{SchemaFile, SourceError, load};
pub use topics::TopicSettings;
