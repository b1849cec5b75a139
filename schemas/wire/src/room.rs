//! How much memory a reader's records may take: their number alone does not bound it.

use bytes::{Bytes, BytesMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a record takes beside its key and its value, about.
const OVERHEAD_BYTES: usize = 128;

/// How much memory is allocated at once for many records: they are mostly dropped together.
const CHUNK_BYTES: usize = 64 << 10;

/// The bytes of the records that a reader has handed over and nobody has dropped yet.
#[derive(Debug)]
pub(crate) struct Room {
    bytes_max: usize,
    /// What is left of the memory that was allocated last; only the reader's thread locks it.
    chunk: Mutex<BytesMut>,
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
        let chunk = Mutex::new(BytesMut::with_capacity(CHUNK_BYTES));
        Self { bytes_max, chunk, taken: Arc::default() }
    }

    /// Then no more records are handed over. One is always let in: it may be larger than the room.
    pub(crate) fn is_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.bytes_max
    }

    pub(crate) fn copy(&self, bytes: &[u8]) -> Bytes {
        let mut chunk = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        chunk.extend_from_slice(bytes);
        chunk.split().freeze()
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
