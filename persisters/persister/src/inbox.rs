//! What a lane's reader has fetched; while PostgreSQL works on a batch, the next one is decoded.

use crate::decode::{Decoded, decode, decode_history};
use crate::error::PersistError;
use crate::metrics::Lane;
use catalog::Known;
use plan::Spare;
use records::Version;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use wire::{Event, Incoming};

/// Decodes records by what is known of their schemas.
#[derive(Clone)]
pub(crate) struct Decoder {
    pub(crate) known: Arc<Known>,
    /// Of events and samples: how long they are kept.
    pub(crate) history: Option<(history::Kind, history::Settings)>,
    /// The memory of batches that were applied.
    pub(crate) spare: Arc<Spare>,
}

impl Decoder {
    /// What the records are; their schemas must be known.
    pub(crate) fn decode(&self, records: &[Incoming]) -> Decoded {
        match &self.history {
            None => decode(records, &self.known, &self.spare),
            Some((kind, settings)) => {
                let window = settings.window(*kind, Version::now());
                decode_history(records, &self.known, (*kind, window))
            }
        }
    }

    fn decode_ahead(self, records: Vec<Incoming>) -> Batch {
        let decoded = self.known.has_all(&records).then(|| self.decode(&records));
        Batch { decoded: decoded.map(|decoded| (self.known, decoded)), records }
    }
}

/// Fetched records, and what they are if they have been decoded, by what was known then.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Incoming>,
    pub(crate) decoded: Option<(Arc<Known>, Decoded)>,
}

/// The most bytes of a batch but for its last record, of a lane of the inventory.
const BYTES_MAX: usize = 2 << 20;

/// The same of events and samples: half a mebibyte of samples is some fifty thousand rows.
const HISTORY_BYTES_MAX: usize = 512 << 10;

/// How much was put into a batch, or how much may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fill {
    records: usize,
    bytes: usize,
}

impl Fill {
    /// A full batch of a lane whose batches have at most so many records.
    pub(crate) const fn full(lane: Lane, records: usize) -> Self {
        let bytes = if lane.history().is_some() { HISTORY_BYTES_MAX } else { BYTES_MAX };
        Self { records, bytes }
    }

    pub(crate) fn add(&mut self, record: &Incoming) {
        self.records += 1;
        self.bytes += record.size();
    }
}

/// The events that have not been taken up yet.
pub(crate) struct Inbox {
    events: mpsc::Receiver<Event>,
    /// How much a full batch has.
    full: Fill,
    /// What was read ahead and is not a full batch.
    ahead: VecDeque<Event>,
    /// How much of a batch that is.
    fill: Fill,
    /// Whether something else than a record was read ahead: then no more is.
    is_cut: bool,
    is_closed: bool,
    /// A full batch that was read ahead.
    decoding: Option<JoinHandle<Batch>>,
}

impl Inbox {
    pub(crate) fn new(events: mpsc::Receiver<Event>, full: Fill) -> Self {
        let (ahead, fill) = (VecDeque::new(), Fill::default());
        let (is_cut, is_closed, decoding) = (false, false, None);
        Self { events, full, ahead, fill, is_cut, is_closed, decoding }
    }

    /// Waits until there is something; `false`: never again.
    pub(crate) async fn has_some(&mut self) -> bool {
        if self.decoding.is_none() && self.ahead.is_empty() {
            self.read().await;
        }
        !self.is_closed
    }

    /// Reads ahead as long as `work` takes, at most a batch.
    pub(crate) async fn while_works<T>(
        &mut self,
        decoder: &Decoder,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.read(), if self.has_room() => {
                    if self.is_full(&self.fill) && !self.is_cut {
                        let records = self.ahead.drain(..).filter_map(Event::into_record).collect();
                        self.fill = Fill::default();
                        let decoder = decoder.clone();
                        self.decoding = Some(spawn_blocking(|| decoder.decode_ahead(records)));
                    }
                }
            }
        }
    }

    /// The batch that was read ahead, if it was a full one.
    ///
    /// # Errors
    /// [`PersistError::Lane`] if decoding has panicked.
    pub(crate) async fn decoded(&mut self) -> Result<Option<Batch>, PersistError> {
        let Some(decoding) = &mut self.decoding else { return Ok(None) };
        let batch = decoding.await.map_err(PersistError::Lane)?;
        self.decoding = None;
        Ok(Some(batch))
    }

    /// The next event that has arrived.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let next = self.ahead.pop_front().or_else(|| self.events.try_recv().ok());
        if self.ahead.is_empty() {
            self.is_cut = false;
            self.fill = Fill::default();
        }
        next
    }

    /// At least one event, and all others that have arrived and find room.
    async fn read(&mut self) {
        let mut event = self.events.recv().await;
        self.is_closed = event.is_none();
        while let Some(arrived) = event {
            match &arrived {
                Event::Record(record) => self.fill.add(record),
                _ => self.is_cut = true,
            }
            self.ahead.push_back(arrived);
            event = if self.has_room() { self.events.try_recv().ok() } else { None };
        }
    }

    /// Whether that is a full batch.
    pub(crate) const fn is_full(&self, fill: &Fill) -> bool {
        fill.records >= self.full.records || fill.bytes >= self.full.bytes
    }

    fn has_room(&self) -> bool {
        let is_full = self.is_full(&self.fill) || self.decoding.is_some();
        !is_full && !self.is_cut && !self.is_closed
    }
}
