//! What the benchmark sends: objects and samples that follow from their numbers alone, as records
//! and as rows. Without servers and without clocks.

pub mod copy;
pub mod objects;
pub mod samples;
mod workload;

pub use workload::{Item, Workload};
