//! What happened at a time: events and samples become rows, once each, in partitions by day.
//!
//! A [`Batch`] is decoded without I/O, [prepared](Known::prepare) (partitions, ids of series) and
//! then applied inside of the transaction that moves the positions. The [`Upkeep`] beside it makes
//! partitions ahead, rolls samples up and drops what is older than the retention.

mod batch;
mod copy;
mod events;
mod halves;
mod known;
mod partitions;
mod rollups;
mod samples;
mod series;
mod settings;
mod storms;
mod upkeep;
mod window;

pub use batch::{Batch, Kind, Reject};
pub use known::Known;
pub use settings::Settings;
pub use upkeep::Upkeep;
pub use window::Window;
