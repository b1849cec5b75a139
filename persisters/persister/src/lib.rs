//! persister.
