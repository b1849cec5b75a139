//! How long what happened is kept.

use crate::Window;
use crate::batch::Kind;
use chassis::Fields;
use records::Version;
use std::time::Duration;

/// How long what happened is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Events.
    pub events_retention: Duration,
    /// The most events of a source, type and subject that a minute keeps one by one; 0: all.
    pub storm_per_minute: u32,
    /// Samples.
    pub metrics_retention: Duration,
    /// What samples came to by hour and day.
    pub rollup_retention: Duration,
    /// How often rollups follow samples, and partitions come and go.
    pub upkeep_every: Duration,
    /// The most series whose ids a connection remembers; then it begins anew.
    pub series_remembered_max: usize,
}

impl Settings {
    /// Reads the sections `events` and `metrics`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut events = root.section("events");
        let events_retention = events.duration("retention");
        let storm_per_minute = events.required("storm_per_minute");
        let mut metrics = root.section("metrics");
        let metrics_retention = metrics.duration("retention");
        let rollup_retention = metrics.duration("rollup_retention");
        let upkeep_every = metrics.duration("upkeep_every");
        let series_remembered_max = metrics.required("series_remembered_max");
        if rollup_retention < metrics_retention {
            metrics.mistake("rollup_retention", "is shorter than retention; make it as long");
        }
        Some(Self {
            events_retention: events_retention?,
            storm_per_minute: storm_per_minute?,
            metrics_retention: metrics_retention?,
            rollup_retention: rollup_retention?,
            upkeep_every: upkeep_every?,
            series_remembered_max: series_remembered_max?,
        })
    }

    /// The moments that are kept at `now`.
    #[must_use]
    pub fn window(&self, kind: Kind, now: Version) -> Window {
        let retention = match kind {
            Kind::Events => self.events_retention,
            Kind::Samples => self.metrics_retention,
        };
        Window::at(now, retention)
    }

    /// How long something of a series is kept.
    pub(crate) fn series_retention(&self) -> Duration {
        self.metrics_retention.max(self.rollup_retention)
    }

    /// How long the rows of a table are kept.
    pub(crate) fn retention_of(&self, table: &str) -> Duration {
        match table {
            "metrics.sample" => self.metrics_retention,
            "metrics.rollup_hour" | "metrics.rollup_day" => self.rollup_retention,
            _ => self.events_retention,
        }
    }
}
