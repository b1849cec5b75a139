//! What rows must be, whatever happened on the way: random histories of sources, the pure model
//! of what was committed, and the comparison of every register of every row with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod history;
pub mod kinds;
pub mod random;
pub mod replay;
pub mod rows;
