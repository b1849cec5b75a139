//! The memory of batches that are done with, for the next ones: fresh pages cost more than what is
//! decoded into them.

use crate::batch::{Batch, Layout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are kept: one is decoded while another is applied.
const KEPT_MAX: usize = 2;

/// Larger ones are not kept: few records need so much.
const BYTES_MAX: usize = 16 << 20;

/// Batches without records.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Vec<Batch>>);

impl Spare {
    /// An empty batch for a table.
    #[must_use]
    pub fn take(&self, layout: &Arc<Layout>) -> Batch {
        let mut kept = self.kept();
        let place = kept.iter().position(|batch| Arc::ptr_eq(batch.layout(), layout));
        let Some(place) = place else { return Batch::new(Arc::clone(layout)) };
        let mut batch = kept.remove(place);
        batch.clear();
        batch
    }

    /// Keeps a batch that is done with, if need be instead of the one that was kept first.
    pub fn keep(&self, batch: Batch) {
        let mut kept = self.kept();
        if batch.capacity() <= BYTES_MAX {
            kept.push(batch);
        }
        if kept.len() > KEPT_MAX {
            kept.remove(0);
        }
    }

    /// Nobody leaves it half changed, so that of a panic nothing remains.
    fn kept(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
