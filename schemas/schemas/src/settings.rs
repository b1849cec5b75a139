//! What `schemas apply` must be told.

use crate::database::DatabaseSettings;
use crate::topics::TopicSettings;
use chassis::{Fields, LogSettings, Mistakes};
use std::path::Path;
use wire::{KafkaSettings, RegistrySettings};

/// The commented defaults: also the documentation of the settings.
pub const DEFAULTS: &str = include_str!("defaults.yaml");

/// Everything that `schemas apply` is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The schema registry.
    pub registry: RegistrySettings,
    /// What a new version of a schema must keep.
    pub compatibility: String,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// How topics are made.
    pub topics: TopicSettings,
    /// Logs.
    pub log: LogSettings,
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
        let compatibility = root.section("registry").required("compatibility");
        let database = DatabaseSettings::read(root);
        let topics = TopicSettings::read(root);
        let log = LogSettings::read(root);
        Some(Self {
            kafka: kafka?,
            registry: registry?,
            compatibility: compatibility?,
            database: database?,
            topics: topics?,
            log: log?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_names_every_key_and_every_key_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schemas.yaml");
        let text = "kafka: {bootstrap_servers: 'b:1'}\nregistry: {url: 'http://r'}\n\
            database: {url: 'postgres://d'}\n";
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(Some(&file)).unwrap();
        assert_eq!(settings.compatibility, "BACKWARD_TRANSITIVE");
    }
}
