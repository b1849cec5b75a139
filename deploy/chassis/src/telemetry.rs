//! Logs, to stderr: text for people, JSON for machines.

use crate::Fields;
use serde::Deserialize;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The section `log`.
#[derive(Debug, Clone)]
pub struct LogSettings {
    format: Format,
    level: Targets,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

impl LogSettings {
    /// Reads `log.format` (`text` or `json`) and `log.level`: a level, or levels by target such as
    /// `info,wire=debug`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut log = root.section("log");
        let format = log.required("format");
        let level = log.parsed("level", parse_level);
        Some(Self { format: format?, level: level? })
    }
}

/// A level for everything else is a must: a misspelt level would otherwise be a target's name.
fn parse_level(text: String) -> Result<Targets, String> {
    let targets = text.parse::<Targets>().ok();
    targets.filter(|targets| targets.default_level().is_some()).ok_or_else(|| {
        format!("expected a level such as \"info\" or \"info,wire=debug\", found {text:?}")
    })
}

/// Starts logging. Only the first call of a process counts.
pub fn init(settings: &LogSettings) {
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match settings.format {
        Format::Text => layer.with_ansi(false).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    let logs = tracing_subscriber::registry().with(layer.with_filter(settings.level.clone()));
    // An error says that an earlier call has won.
    let _ = logs.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_for_all_and_some_for_targets() {
        for good in ["info", "off", "warn,wire=debug,persister::apply=trace"] {
            assert!(parse_level(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["inof", "wire=debug", "info,wire=loud"] {
            assert!(parse_level(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
