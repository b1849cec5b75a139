//! What a collector counts. The help texts are the doc comments.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use provider::{Outcome, Requests};

/// Where a record went: `live`, `snapshot` or `checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabel {
    /// The lane.
    pub lane: &'static str,
}

/// How a request to the provider's API ended: `answered` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// How it ended.
    pub outcome: &'static str,
}

/// Everything that can fail.
const ERROR_KINDS: [&str; 5] = ["provider", "silence", "attribute", "control", "engine"];

/// What failed: `provider`, `silence`, `attribute`, `control` or `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabel {
    /// The kind.
    pub kind: &'static str,
}

/// The collector's metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Records handed to Kafka, by lane
    pub records: Family<LaneLabel, Counter>,
    /// Requests to the provider's API, by how they ended
    pub requests: Family<OutcomeLabel, Counter>,
    /// Failures, by what failed
    pub errors: Family<ErrorLabel, Counter>,
    /// Listings that were completed and acknowledged
    pub listings: Counter,
    /// Types whose last listing is held by the mass-deletion guard
    pub held_listings: Gauge,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let own = registry.sub_registry_with_prefix("tributary_collector");
        own.register("records", "Records handed to Kafka, by lane", metrics.records.clone());
        let help = "Requests to the provider's API, by how they ended";
        own.register("requests", help, metrics.requests.clone());
        own.register("errors", "Failures, by what failed", metrics.errors.clone());
        for kind in ERROR_KINDS {
            // Also what has not failed yet has a series: else its first failure would be no change.
            metrics.errors.get_or_create(&ErrorLabel { kind }).inc_by(0);
        }
        let help = "Listings that were completed and acknowledged";
        own.register("listings", help, metrics.listings.clone());
        let help = "Types whose last listing is held by the mass-deletion guard";
        own.register("held_listings", help, metrics.held_listings.clone());
        metrics
    }

    /// What a provider tells its requests to.
    #[must_use]
    pub fn count_requests(&self) -> Requests {
        let requests = self.requests.clone();
        Requests::counted_by(move |outcome| {
            let outcome = match outcome {
                Outcome::Answered => "answered",
                Outcome::Failed => "failed",
            };
            requests.get_or_create(&OutcomeLabel { outcome }).inc();
        })
    }

    /// Counts a failure of a kind of the closed set.
    pub fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&ErrorLabel { kind }).inc();
    }
}
