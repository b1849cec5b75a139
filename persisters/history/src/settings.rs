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
    /// What samples came to by hour.
    pub hourly_retention: Duration,
    /// What samples came to by day.
    pub daily_retention: Duration,
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
        let hourly_retention = metrics.optional_duration("hourly_retention");
        let daily_retention = metrics.optional_duration("daily_retention");
        let upkeep_every = metrics.duration("upkeep_every");
        let series_remembered_max = metrics.required("series_remembered_max");
        for (key, of_rollups) in [
            ("rollup_retention", rollup_retention),
            ("hourly_retention", hourly_retention),
            ("daily_retention", daily_retention),
        ] {
            if of_rollups.is_some_and(|of_rollups| Some(of_rollups) < metrics_retention) {
                metrics.mistake(key, "is shorter than retention; make it as long");
            }
        }
        Some(Self {
            events_retention: events_retention?,
            storm_per_minute: storm_per_minute?,
            metrics_retention: metrics_retention?,
            hourly_retention: hourly_retention.or(rollup_retention)?,
            daily_retention: daily_retention.or(rollup_retention)?,
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
        self.metrics_retention.max(self.hourly_retention).max(self.daily_retention)
    }

    /// How long the rows of a table are kept.
    pub(crate) fn retention_of(&self, table: &str) -> Duration {
        match table {
            "metrics.sample" => self.metrics_retention,
            "metrics.rollup_hour" => self.hourly_retention,
            "metrics.rollup_day" => self.daily_retention,
            _ => self.events_retention,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(metrics: serde_json::Value) -> Result<(Duration, Duration), String> {
        let mut given = json!({"events": {"retention": "90d", "storm_per_minute": 0}});
        given["metrics"] =
            json!({"retention": "30d", "upkeep_every": "1s", "series_remembered_max": 1});
        for (key, value) in metrics.as_object().unwrap() {
            given["metrics"][key] = value.clone();
        }
        let mut root = Fields::of_document("test", given);
        let settings = Settings::read(&mut root);
        root.finish().map_err(|mistakes| mistakes.to_string())?;
        Ok(settings.map(|s| (s.hourly_retention, s.daily_retention)).unwrap())
    }

    #[test]
    fn hours_and_days_are_kept_as_rollups_unless_it_is_given_apart() {
        let days = |days: u64| Duration::from_hours(24 * days);
        let alike = json!({"rollup_retention": "40d", "hourly_retention": null});
        assert_eq!(read(alike), Ok((days(40), days(40))));
        let apart = json!({"rollup_retention": "40d", "daily_retention": "50d"});
        assert_eq!(read(apart), Ok((days(40), days(50))));
        let short = json!({"rollup_retention": "40d", "hourly_retention": "29d"});
        let mistakes = read(short).unwrap_err();
        assert!(mistakes.contains("metrics.hourly_retention: is shorter"), "{mistakes}");
    }
}
