//! What inventory records do to the rows of their tables, inside of the caller's transaction:
//! batches of upserts and deletes, extents, and the locks that both take first.

mod error;
mod extents;
mod new_keys;
mod overlays;
mod parameter;
mod purge;
mod sweep;
mod transaction;
mod upserts;

pub use error::InventoryError;
pub use extents::apply_extent;
pub use new_keys::NewKeys;
pub use purge::{PURGE_MAX, purge};
pub use transaction::{Lock, covers, lock, tables, try_lock_purge};
pub use upserts::{Apply, Counts, Covers, Sets, base_schemas};
