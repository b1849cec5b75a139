//! What every program stands on: settings, logs, the admin port, shutdown, retry and exit codes.
//!
//! ```text
//! load -> Fields -> the program's settings -> telemetry::init -> run(stop) -> exit::code
//! ```

pub mod admin;
mod backoff;
mod document;
pub mod exit;
mod fields;
mod found;
mod health;
mod mistakes;
mod secret;
mod settings;
pub mod shutdown;
pub mod telemetry;
mod trouble;
mod variables;
mod yaml;

pub use admin::{AdminError, AdminSettings};
pub use backoff::Backoff;
pub use exit::ExitKind;
pub use fields::Fields;
pub use health::Health;
pub use mistakes::{Mistake, Mistakes};
pub use secret::Secret;
pub use settings::{credentials, documents, load};
pub use telemetry::LogSettings;
pub use trouble::Trouble;
