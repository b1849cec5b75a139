//! Kafka and the schema registry: the only crate that talks to either.

mod admin;
mod commits;
mod events;
mod frame;
mod handle;
mod peek;
mod place;
mod problem;
mod publisher;
mod queues;
mod quiet;
mod reader;
mod rebalance;
mod registry;
mod room;
mod scan;
mod settings;
mod sink;
mod table;

pub use admin::{Admin, TopicOutcome, TopicSpec};
pub use events::{Event, Incoming, LogRange, PartitionStart};
pub use frame::{FrameError, SchemaId, frame, frame_header, unframe};
pub use handle::ReaderHandle;
pub use peek::peek;
pub use problem::KafkaProblem;
pub use publisher::{Outgoing, Publisher};
pub use reader::{GroupOptions, KeyFilter, Reader};
pub use rebalance::Positions;
pub use registry::{Registry, RegistryError};
pub use room::Held;
pub use scan::{Scan, Scanned};
pub use settings::{KafkaSettings, RegistrySettings};
pub use table::{Table, TableValue};
