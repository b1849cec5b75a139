//! What a persister counts. The doc comments are the help texts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// The lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Changes as they happen.
    Live,
    /// Full refreshes.
    Snapshot,
    /// What happened at the sources.
    Events,
    /// What their counters showed.
    Metrics,
}

impl Lane {
    /// What its records are, if they are no inventory.
    #[must_use]
    pub const fn history(self) -> Option<history::Kind> {
        match self {
            Self::Live | Self::Snapshot => None,
            Self::Events => Some(history::Kind::Events),
            Self::Metrics => Some(history::Kind::Samples),
        }
    }
}

impl EncodeLabelValue for Lane {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
            Self::Events => "events",
            Self::Metrics => "metrics",
        };
        name.encode(encoder)
    }
}

/// Which lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabel {
    /// The lane.
    pub lane: Lane,
}

/// Which class of dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabel {
    /// The name of the class, of the closed set `records::rejection::Class`.
    pub class: &'static str,
}

/// Which partition of which topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LagLabel {
    /// The topic's full name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

/// The persister's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Records that were applied.
    pub records_applied: Family<LaneLabel, Counter>,
    /// Records that changed no row.
    pub records_unchanged: Family<LaneLabel, Counter>,
    /// Rows that were written.
    pub rows_changed: Family<LaneLabel, Counter>,
    /// Records that were rejected, by class.
    pub dead_letters: Family<ClassLabel, Counter>,
    /// Records of quiet sources that were applied ahead of a backlog in the live lane.
    pub express_records: Counter,
    /// Tombstones that were removed.
    pub tombstones_purged: Counter,
    /// Seconds spent on batches, as a share of each of the lane's connections that has partitions.
    pub busy: Family<LaneLabel, Counter<f64, AtomicU64>>,
    /// Seconds from a batch's fetch to its commit.
    pub batch_duration: Family<LaneLabel, Histogram>,
    /// Seconds from a record's version to the commit of its row.
    pub record_age: Family<LaneLabel, Histogram>,
    /// Records on Kafka that are not applied yet, of the partitions of this member.
    pub lag: Family<LagLabel, Gauge>,
    /// Types whose records wait because their table is not ready.
    pub waiting_types: Gauge,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            records_applied: Family::default(),
            records_unchanged: Family::default(),
            rows_changed: Family::default(),
            dead_letters: Family::default(),
            express_records: Counter::default(),
            tombstones_purged: Counter::default(),
            busy: Family::default(),
            batch_duration: Family::new_with_constructor(histogram),
            record_age: Family::new_with_constructor(histogram),
            lag: Family::default(),
            waiting_types: Gauge::default(),
        };
        let m = &metrics;
        let persister = registry.sub_registry_with_prefix("tributary_persister");
        persister.register("records_applied", "Records applied", m.records_applied.clone());
        let help = "Records that changed no row";
        persister.register("records_unchanged", help, m.records_unchanged.clone());
        persister.register("rows_changed", "Rows written", m.rows_changed.clone());
        persister.register("dead_letters", "Records rejected", m.dead_letters.clone());
        let help = "Records of quiet sources applied ahead of a backlog in the live lane";
        persister.register("express_records", help, m.express_records.clone());
        let help = "Tombstones removed";
        persister.register("tombstones_purged", help, m.tombstones_purged.clone());
        persister.register("busy_seconds", "Seconds spent on batches", m.busy.clone());
        let help = "Seconds from a batch's fetch to its commit";
        persister.register("batch_duration_seconds", help, m.batch_duration.clone());
        let help = "Types whose records wait because their table is not ready";
        persister.register("waiting_types", help, m.waiting_types.clone());
        let of_all = registry.sub_registry_with_prefix("tributary");
        let help = "Seconds from a record's version to the commit of its row";
        of_all.register("record_age_seconds", help, m.record_age.clone());
        let help = "Records on Kafka that are not applied yet, of the partitions of this member";
        of_all.register("lag_records", help, m.lag.clone());
        metrics
    }
}

fn histogram() -> Histogram {
    const SECONDS: [f64; 13] =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
    Histogram::new(SECONDS)
}
