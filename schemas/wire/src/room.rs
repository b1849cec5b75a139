//! How much memory a reader's records may take: their number alone does not bound it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a record takes beside its key and its value, about.
const OVERHEAD_BYTES: usize = 128;

/// The bytes of the records that a reader has handed over and nobody has dropped yet.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    bytes_max: usize,
    taken: Arc<AtomicUsize>,
}

/// What a record takes of its reader's room, until it is dropped.
#[derive(Debug, Default)]
pub struct Held {
    bytes: usize,
    taken: Option<Arc<AtomicUsize>>,
}

impl Room {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, taken: Arc::default() }
    }

    /// Then no more records are handed over. One is always let in: it may be larger than the room.
    pub(crate) fn is_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// Takes room for a record whose key and value have so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> Held {
        let bytes = bytes + OVERHEAD_BYTES;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Held { bytes, taken: Some(Arc::clone(&self.taken)) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(taken) = &self.taken {
            taken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_with_the_record() {
        let room = Room::new(1_000);
        let large = room.take(5_000);
        assert!(room.is_full());
        let small = room.take(1);
        drop(large);
        assert!(!room.is_full());
        drop(small);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
