//! What a persister must be told.

use chassis::{AdminSettings, Fields, LogSettings, Mistakes};
use operator::Servers;
use positions::Access;
use schemas::database::DatabaseSettings;
use std::path::Path;
use std::time::Duration;
use wire::{KafkaSettings, RegistrySettings};

/// The commented defaults: also the documentation of the settings.
pub const DEFAULTS: &str = include_str!("defaults.yaml");

/// Everything that a persister is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The schema registry.
    pub registry: RegistrySettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// The consumer group.
    pub group: String,
    /// The member's slot in the group.
    pub instance: Option<String>,
    /// How many connections each lane has at most.
    pub connections: usize,
    /// The most records of one transaction.
    pub batch_records: usize,
    /// The most kibibytes that wait in each lane's client.
    pub queue_kibibytes_max: usize,
    /// How often tombstones that are not needed any more are removed.
    pub purge_every: Duration,
    /// How long a tombstone stays that no newer extent has made needless.
    pub tombstone_retention: Duration,
    /// How long events and samples are kept.
    pub history: history::Settings,
    /// Logs.
    pub log: LogSettings,
    /// The admin port.
    pub admin: AdminSettings,
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

    /// Where positions and logs are.
    #[must_use]
    pub fn access(&self) -> Access {
        let (kafka, database) = (self.kafka.clone(), self.database.clone());
        Access { kafka, database, group: self.group.clone() }
    }

    /// Where everything is that commands look at.
    #[must_use]
    pub fn servers(&self) -> Servers {
        Servers { access: self.access(), registry: self.registry.clone() }
    }

    fn read(root: &mut Fields) -> Option<Self> {
        let kafka = KafkaSettings::read(root);
        let registry = RegistrySettings::read(root);
        let database = DatabaseSettings::read(root);
        let history = history::Settings::read(root);
        let log = LogSettings::read(root);
        let admin = AdminSettings::read(root);
        let mut own = root.section("persister");
        let group = own.required("group");
        let instance = own.optional("instance");
        let connections = own.required("connections");
        let batch_records = own.required("batch_records");
        let queue_kibibytes_max = own.required("queue_kibibytes_max");
        for (name, number) in [
            ("connections", connections),
            ("batch_records", batch_records),
            ("queue_kibibytes_max", queue_kibibytes_max),
        ] {
            if number == Some(0) {
                own.mistake(name, "is 0; make it at least 1");
            }
        }
        let purge_every = own.duration("purge_every");
        let tombstone_retention = own.duration("tombstone_retention");
        Some(Self {
            kafka: kafka?,
            registry: registry?,
            database: database?,
            group: group?,
            instance,
            connections: connections?,
            batch_records: batch_records?,
            queue_kibibytes_max: queue_kibibytes_max?,
            purge_every: purge_every?,
            tombstone_retention: tombstone_retention?,
            history: history?,
            log: log?,
            admin: admin?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: &str = "kafka: {bootstrap_servers: 'b:1'}\nregistry: {url: 'http://r'}\n\
        database: {url: 'postgres://d'}\n";

    fn load(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("persister.yaml");
        std::fs::write(&file, text).unwrap();
        Settings::load(Some(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_file_names_every_key_and_every_key_is_read() {
        assert_eq!(load(OUTSIDE).unwrap().group, "tributary-persister");
    }

    #[test]
    fn what_must_not_be_nothing_is_named() {
        for name in ["connections", "batch_records", "queue_kibibytes_max"] {
            let refused = load(&format!("{OUTSIDE}persister: {{{name}: 0}}\n")).unwrap_err();
            assert!(refused.contains(&format!("persister.{name}: is 0")), "{refused}");
        }
    }
}
