//! One run of a provider: from its first request until there is a reason to start it anew.

use crate::CollectError;
use crate::control::Wishes;
use crate::inventory::Inventory;
use crate::outlet::Outlet;
use crate::settings::Timing;
use provider::{Clock, Observation, Provider, ProviderError, Requests};
use records::Version;
use std::pin::pin;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Runs providers, one run at a time.
pub struct Stream<O> {
    /// Publishes what is observed.
    pub inventory: Inventory<O>,
    /// What the orchestrator wants.
    pub wishes: watch::Receiver<Wishes>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// When a run is too old or too silent.
    pub timing: Timing,
    /// Counts the provider's requests.
    pub requests: Requests,
}

/// Why a run ended.
#[derive(Debug)]
pub enum Ended {
    /// The collector stops.
    Stopped,
    /// The orchestrator wants nothing to be collected.
    Paused,
    /// It is time for a new listing, or one is wanted.
    ListingDue,
    /// Nothing came for too long.
    Silent,
    /// The provider ended by itself.
    Provider(Result<(), ProviderError>),
}

/// Everything that can wake a run.
enum Event {
    Stop,
    WishesChanged,
    Observation(Observation),
    Drained,
    Silent,
    ListingDue,
}

impl<O: Outlet> Stream<O> {
    /// Runs the provider once.
    ///
    /// # Errors
    /// Kafka's, or a mistake of the provider's code.
    pub async fn run(
        &mut self,
        provider: &mut dyn Provider,
        clock: Clock,
    ) -> Result<Ended, CollectError> {
        self.inventory.begin();
        let (sink, observations) = provider::observations(clock, self.timing.observations_max);
        let sink = sink.counting(self.requests.clone());
        let mut publishing = pin!(self.publish(observations));
        let result = tokio::select! {
            ended = &mut publishing => return ended.map(|ended| ended.unwrap_or(Ended::ListingDue)),
            result = provider.run(sink) => result,
        };
        // What it sent before it ended counts.
        Ok(publishing.await?.unwrap_or(Ended::Provider(result)))
    }

    /// `None`: the provider has ended, and everything that it had sent is published.
    async fn publish(
        &mut self,
        mut observations: mpsc::Receiver<Observation>,
    ) -> Result<Option<Ended>, CollectError> {
        let begun = Version::now();
        let mut due = Instant::now() + self.timing.listing_every;
        let mut progress = Instant::now();
        self.wishes.mark_changed();
        loop {
            match self.next(&mut observations, progress + self.timing.silence_max, due).await {
                Event::Stop => return Ok(Some(Ended::Stopped)),
                Event::WishesChanged => {
                    let wishes = *self.wishes.borrow_and_update();
                    if wishes.is_paused {
                        return Ok(Some(Ended::Paused));
                    }
                    if wishes.listing_since.is_some_and(|since| since > begun) {
                        return Ok(Some(Ended::ListingDue));
                    }
                }
                Event::Observation(observation) => {
                    let ends_listing = matches!(observation, Observation::ListingEnds(_));
                    self.inventory.observe(observation).await?;
                    progress = Instant::now();
                    if ends_listing && self.inventory.is_holding() {
                        due = due.min(progress + self.timing.second_listing_after);
                    }
                }
                Event::Drained => return Ok(None),
                Event::Silent => return Ok(Some(Ended::Silent)),
                Event::ListingDue => return Ok(Some(Ended::ListingDue)),
            }
        }
    }

    /// Waits until nothing forbids to collect; `false` when the collector stops.
    pub async fn resumed(&mut self) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            result = self.wishes.wait_for(|wishes| !wishes.is_paused) => result.is_ok(),
        }
    }

    async fn next(
        &mut self,
        observations: &mut mpsc::Receiver<Observation>,
        silent: Instant,
        due: Instant,
    ) -> Event {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Event::Stop,
            Ok(()) = self.wishes.changed() => Event::WishesChanged,
            () = sleep_until(due) => Event::ListingDue,
            seen = observations.recv() => seen.map_or(Event::Drained, Event::Observation),
            () = sleep_until(silent) => Event::Silent,
        }
    }
}

#[cfg(test)]
mod tests;
