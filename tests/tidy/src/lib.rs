//! What clippy can't keep: the walls between crates, and the limits of files, crates and manifests.
//!
//! A check is a pure function from text to findings. `tests/workspace.rs` runs all of them on this
//! workspace; each is also shown to find what it is for.

mod finding;
pub mod manifests;
pub mod sources;
pub mod walls;
mod workspace;

pub use finding::Finding;
pub use workspace::{Crate, File, Unreadable, Use, Workspace};
