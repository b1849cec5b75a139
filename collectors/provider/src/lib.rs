//! The seam between providers and the engine: a provider turns its API into a stream of
//! observations. It never sees Kafka, offsets or topics.
//!
//! What a provider owes is little, because the engine keeps the rest: it takes a version *before*
//! it asks the API for a listing, or *at the moment* at which it receives a change, and it says
//! that a listing is complete only for what it has really seen.

mod clock;
mod observation;
mod requests;
mod sink;

pub use clock::{Clock, Issuer};
pub use observation::{Change, Entity, Observation, Range};
pub use requests::{Outcome, Requests};
pub use sink::{Closed, Sink, observations};

use async_trait::async_trait;
use records::EntityType;

/// A source's API as seen by the engine. One value serves one source.
#[async_trait]
pub trait Provider: Send {
    /// The entity types that this provider collects, targets of references first.
    fn types(&self) -> &[EntityType];

    /// Connects and says what it sees, without sending anything.
    ///
    /// # Errors
    /// Why it can't be collected from.
    async fn check(&mut self) -> Result<Report, ProviderError>;

    /// Lists everything, then follows the changes, until an error or until it is dropped: the
    /// engine ends it by dropping the future, and starts it anew for the next listing.
    ///
    /// # Errors
    /// What ended it. [`ProviderError::is_final`] says whether a new start could help.
    async fn run(&mut self, sink: Sink) -> Result<(), ProviderError>;

    /// The collector ends: gives back what it holds at the API, such as a session, if that is done
    /// quickly.
    async fn close(&mut self) {}
}

/// What `collector check` shows.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// The API's own name and version, such as `VMware vCenter Server 8.0.3 build-1`.
    pub api: String,
    /// The account that is logged in.
    pub account: String,
    /// What the account may do that matters here, and what it lacks.
    pub privileges: Vec<Privilege>,
    /// Objects visible to the account, by entity type.
    pub objects: Vec<(String, u64)>,
}

/// One privilege that collecting needs.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Privilege {
    /// The provider's own name of it.
    pub name: String,
    /// Whether the account has it.
    pub granted: bool,
}

/// What ended a provider. Every message names the thing, the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The API refused the credentials, or the account lacks a privilege.
    #[error("{0}")]
    Refused(String),
    /// The settings can't work, such as a CA file that does not parse.
    #[error("{0}")]
    Settings(String),
    /// The API can't be reached or broke off; a new start may help.
    #[error("{0}")]
    Unavailable(String),
    /// The API answered with what this provider does not understand; a new start may help.
    #[error("{0}")]
    Protocol(String),
    /// The engine has gone: nobody listens to the observations any more.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl ProviderError {
    /// Whether only a person can mend it: the collector then exits 64.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Settings(_))
    }
}
