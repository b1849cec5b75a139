//! Kafka and the schema registry: the only crate that talks to either.

mod admin;
mod frame;
mod problem;
mod publisher;
mod reader;
mod registry;
mod settings;
mod table;

pub use admin::{Admin, TopicOutcome, TopicSpec};
pub use frame::{FrameError, SchemaId, frame, frame_header, unframe};
pub use problem::KafkaProblem;
pub use publisher::{Outgoing, Publisher};
pub use reader::{Event, GroupOptions, Incoming, PartitionStart, Positions, Reader, ReaderHandle};
pub use registry::{Registry, RegistryError};
pub use settings::{KafkaSettings, RegistrySettings};
pub use table::{Table, TableValue};
