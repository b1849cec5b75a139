//! What a lane's reader has fetched; while PostgreSQL works on a batch, the next one is decoded.

use crate::decode::{Decoded, decode, decode_history};
use crate::error::PersistError;
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

/// The events that have not been taken up yet.
pub(crate) struct Inbox {
    events: mpsc::Receiver<Event>,
    /// The most records of a batch.
    records_max: usize,
    /// What was read ahead and is not a full batch.
    ahead: VecDeque<Event>,
    /// Whether something else than a record was read ahead: then no more is.
    is_cut: bool,
    is_closed: bool,
    /// A full batch that was read ahead.
    decoding: Option<JoinHandle<Batch>>,
}

impl Inbox {
    pub(crate) const fn new(events: mpsc::Receiver<Event>, records_max: usize) -> Self {
        let (is_cut, is_closed) = (false, false);
        Self { events, records_max, ahead: VecDeque::new(), is_cut, is_closed, decoding: None }
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
                    if self.ahead.len() == self.records_max && !self.is_cut {
                        let records = self.ahead.drain(..).filter_map(Event::into_record).collect();
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
        self.is_cut &= !self.ahead.is_empty();
        next
    }

    async fn read(&mut self) {
        let room = self.records_max - self.ahead.len();
        let mut arrived = Vec::new();
        self.is_closed = self.events.recv_many(&mut arrived, room).await == 0;
        self.is_cut |= arrived.iter().any(|event| !matches!(event, Event::Record(_)));
        self.ahead.extend(arrived);
    }

    fn has_room(&self) -> bool {
        let is_full = self.ahead.len() >= self.records_max || self.decoding.is_some();
        !is_full && !self.is_cut && !self.is_closed
    }
}
