//! The bounded channel from a provider to the engine.

use crate::{Change, Clock, Entity, Observation, Range, Requests};
use records::{TypeName, Version};
use tokio::sync::mpsc;

/// The engine has stopped listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Closed;

/// Where a provider sends what it observes. Sending waits while the engine is busy, so a provider
/// never holds more than it has just received.
#[derive(Debug, Clone)]
pub struct Sink {
    clock: Clock,
    observations: mpsc::Sender<Observation>,
    requests: Requests,
}

/// A sink and the engine's end of it, `capacity` observations apart.
#[must_use]
pub fn observations(clock: Clock, capacity: usize) -> (Sink, mpsc::Receiver<Observation>) {
    let (observations, receiver) = mpsc::channel(capacity);
    (Sink { clock, observations, requests: Requests::default() }, receiver)
}

impl Sink {
    /// The same sink, with the engine's count of requests.
    #[must_use]
    pub fn counting(self, requests: Requests) -> Self {
        Self { requests, ..self }
    }

    /// Where to tell every request to the API.
    #[must_use]
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// A version of now, higher than every one before. Take it before a listing's first request,
    /// or as soon as a change is received; it waits while the lease on versions is not renewed.
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn version(&self) -> Result<Version, Closed> {
        self.clock.issue().await
    }

    /// An object that the listing of `version` has seen, whole.
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn listed(&self, version: Version, entity: Entity) -> Result<(), Closed> {
        self.send(Observation::Listed(version, entity)).await
    }

    /// Every object of the type in the range has been [`listed`](Self::listed).
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn complete(
        &self,
        version: Version,
        entity_type: TypeName,
        range: Range,
    ) -> Result<(), Closed> {
        self.send(Observation::Complete(version, entity_type, range)).await
    }

    /// The listing of `version` is over.
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn listing_ends(&self, version: Version) -> Result<(), Closed> {
        self.send(Observation::ListingEnds(version)).await
    }

    /// A change that was received at `version`.
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn changed(&self, version: Version, change: Change) -> Result<(), Closed> {
        self.send(Observation::Changed(version, change)).await
    }

    /// The stream is alive although nothing changed.
    ///
    /// # Errors
    /// [`Closed`] when the engine has stopped.
    pub async fn alive(&self) -> Result<(), Closed> {
        self.send(Observation::Alive).await
    }

    async fn send(&self, observation: Observation) -> Result<(), Closed> {
        self.observations.send(observation).await.map_err(|_| Closed)
    }
}
