//! What a collector must be told beside its provider's manifest.

use chassis::{AdminSettings, Fields, LogSettings, Mistakes};
use records::Version;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;
use wire::{KafkaSettings, RegistrySettings};

/// The commented defaults: also the documentation of the settings.
pub const DEFAULTS: &str = include_str!("defaults.yaml");

/// Everything that a collector is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The schema registry.
    pub registry: RegistrySettings,
    /// The lease that the orchestrator took for this process.
    pub lease: Option<GivenLease>,
    /// When a provider is started anew.
    pub timing: Timing,
    /// Logs.
    pub log: LogSettings,
    /// The admin port.
    pub admin: AdminSettings,
}

/// A lease that somebody else took for this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenLease {
    /// Who writes.
    pub writer: String,
    /// Its term.
    pub term: i64,
    /// Versions are above it.
    pub version_floor: Version,
}

/// When a provider is started anew, and how much it may be ahead of Kafka.
#[derive(Debug, Clone)]
pub struct Timing {
    /// A full listing at least so often.
    pub listing_every: Duration,
    /// The second listing when the mass-deletion guard holds one.
    pub second_listing_after: Duration,
    /// A stream without any sign of life is started anew.
    pub silence_max: Duration,
    /// The most observations that wait in memory.
    pub observations_max: usize,
}

impl Settings {
    /// Reads defaults, file and environment.
    ///
    /// # Errors
    /// Every mistake.
    pub fn load(file: Option<&Path>) -> Result<Self, Mistakes> {
        let mut root = chassis::load(DEFAULTS, file)?;
        let settings = Self::read(&mut root);
        root.finish()?;
        Ok(settings.expect("whatever is missing has been told as a mistake"))
    }

    fn read(root: &mut Fields) -> Option<Self> {
        let kafka = KafkaSettings::read(root);
        let registry = RegistrySettings::read(root);
        let lease = GivenLease::read(root);
        let timing = Timing::read(root);
        let log = LogSettings::read(root);
        let admin = AdminSettings::read(root);
        Some(Self {
            kafka: kafka?,
            registry: registry?,
            lease,
            timing: timing?,
            log: log?,
            admin: admin?,
        })
    }
}

impl GivenLease {
    fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("lease");
        let writer = fields.optional("writer");
        let term = fields.optional("term");
        let floor = fields.optional("version_floor");
        if writer.is_none() && term.is_none() && floor.is_none() {
            return None;
        }
        if writer.is_none() || term.is_none() || floor.is_none() {
            let problem = "needs writer, term and version_floor together; give all or none";
            root.mistake("lease", problem);
        }
        Some(Self { writer: writer?, term: term?, version_floor: Version::from_micros(floor?) })
    }
}

impl Timing {
    fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("collector");
        let listing_every = fields.duration("listing_every");
        let second_listing_after = fields.duration("second_listing_after");
        let silence_max = fields.duration("silence_max");
        let observations_max = fields.required::<NonZeroUsize>("observations_max");
        Some(Self {
            listing_every: listing_every?,
            second_listing_after: second_listing_after?,
            silence_max: silence_max?,
            observations_max: observations_max?.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, Mistakes> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("collector.yaml");
        let needed = "kafka: {bootstrap_servers: 'b:1'}\nregistry: {url: 'http://r'}\n";
        std::fs::write(&file, format!("{needed}{text}")).unwrap();
        Settings::load(Some(&file))
    }

    #[test]
    fn the_defaults_are_complete_but_for_the_servers() {
        let settings = load("").unwrap();
        assert_eq!(settings.timing.listing_every, Duration::from_hours(24));
        assert_eq!(settings.lease, None);
    }

    #[test]
    fn a_lease_is_given_whole_or_not_at_all() {
        let given = load("lease: {writer: w, term: 3, version_floor: 7}\n").unwrap().lease;
        assert_eq!(given.unwrap().version_floor, Version::from_micros(7));
        let mistakes = load("lease: {term: 3}\n").unwrap_err().to_string();
        assert!(mistakes.contains("give all or none"), "{mistakes}");
    }
}
