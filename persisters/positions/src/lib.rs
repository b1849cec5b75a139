//! Positions in Kafka's topics are PostgreSQL's: who owns them, which log they belong to, and how a
//! person sees and moves them.

mod advance;
mod error;
mod gap;
mod judge;
mod keeper;
mod left;
mod owner;
mod ownership;
mod progress;
mod refresh;
pub mod rewind;
mod seen;
pub mod show;

pub use advance::{Advance, advance};
pub use error::PositionError;
pub use keeper::{Keeper, Readers};
pub use owner::{Member, Owner, Stamp, hash, take_over};
pub use ownership::Ownership;
pub use progress::Progress;
pub use refresh::Refresh;
pub use seen::{Seen, remember};

use records::Topic;
use schemas::database::DatabaseSettings;
use wire::KafkaSettings;

/// The topics whose positions are in PostgreSQL.
const TOPICS: [Topic; 4] =
    [Topic::InventoryLive, Topic::InventorySnapshot, Topic::Events, Topic::Metrics];

/// Where positions and logs are.
#[derive(Debug, Clone)]
pub struct Access {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// The group whose committed offsets are shown beside the positions.
    pub group: String,
}
