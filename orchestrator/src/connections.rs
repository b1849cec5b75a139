//! The ways to Kafka, the registry and the database: given once, and told to every child.

use crate::worker::{Desired, Program, fingerprint};
use chassis::{Fields, Secret};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Keys that may be null, the same as in the children's own default files.
const KAFKA: [&str; 7] = [
    "security_protocol",
    "ssl_ca_file",
    "ssl_certificate_file",
    "ssl_key_file",
    "sasl_mechanism",
    "sasl_username",
    "sasl_password_file",
];
const REGISTRY: [&str; 3] = ["ca_file", "username", "password_file"];
const DATABASE: [&str; 2] = ["url", "password_file"];

/// What children are told. The files that are named here are read by the children alone, so that
/// no password is in an environment.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Of Kafka and the registry.
    common: Vec<Told>,
    /// For persisters alone: the database, and their own section.
    persisters: Vec<Told>,
    /// For collectors alone: their own section.
    collectors: Vec<Told>,
}

/// One key of a section, with a value.
#[derive(Debug, Clone)]
struct Told {
    section: &'static str,
    key: String,
    /// A URL or one of librdkafka's properties may contain a password.
    value: Secret,
}

impl Connections {
    /// Reads the sections `kafka`, `registry`, `database`, `collector` and `persister`.
    pub(crate) fn read(root: &mut Fields) -> Option<Self> {
        let mut kafka = root.section("kafka");
        let bootstrap_servers = Told::required(&mut kafka, ["kafka", "bootstrap_servers"]);
        let topic_prefix = Told::required(&mut kafka, ["kafka", "topic_prefix"]);
        let security = Told::optional(&mut kafka, "kafka", &KAFKA);
        let properties = properties(&mut kafka);
        let mut registry = root.section("registry");
        let url = Told::required(&mut registry, ["registry", "url"]);
        let access = Told::optional(&mut registry, "registry", &REGISTRY);
        let database = Told::optional(&mut root.section("database"), "database", &DATABASE);
        let required = [bootstrap_servers?, topic_prefix?, url?].into_iter();
        let common = required.chain(security).chain(properties).chain(access).collect();
        let persisters = database.into_iter().chain(section(root, "persister")).collect();
        Some(Self { common, persisters, collectors: section(root, "collector") })
    }

    /// The variables of a child's environment.
    pub(crate) fn variables(&self, program: Program) -> impl Iterator<Item = (String, &str)> {
        self.told(program).map(|told| (told.variable(), told.value.expose()))
    }

    /// Every variable that some child is told: another one must not have it.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.common.iter().chain(&self.persisters).chain(&self.collectors).map(Told::variable)
    }

    /// Makes a worker differ when a file that it is told of has changed: then a new start may help.
    pub(crate) fn stamp(&self, desired: &mut Desired) {
        for program in [Program::Collector, Program::Persister] {
            let files: Vec<_> = self.told(program).filter_map(Told::file).collect();
            let files = fingerprint("", &files);
            let workers = desired.values_mut().filter(|worker| worker.program == program);
            workers.for_each(|worker| worker.fingerprint ^= files);
        }
    }

    fn told(&self, program: Program) -> impl Iterator<Item = &Told> {
        let own = match program {
            Program::Collector => &self.collectors,
            Program::Persister => &self.persisters,
        };
        self.common.iter().chain(own)
    }
}

impl Told {
    fn required(fields: &mut Fields, [section, key]: [&'static str; 2]) -> Option<Self> {
        let value = fields.required(key)?;
        Some(Self { section, key: key.to_owned(), value })
    }

    fn optional(fields: &mut Fields, section: &'static str, keys: &[&'static str]) -> Vec<Self> {
        let told = |key: &&'static str| {
            let value = fields.optional(key)?;
            Some(Self { section, key: (*key).to_owned(), value })
        };
        keys.iter().filter_map(told).collect()
    }

    /// The well-known names are those that programs of others understand, too.
    fn variable(&self) -> String {
        match (self.section, self.key.as_str()) {
            ("kafka", "bootstrap_servers") => "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
            ("kafka", "topic_prefix") => "TRIBUTARY_TOPIC_PREFIX".to_owned(),
            ("registry", "url") => "SCHEMA_REGISTRY_URL".to_owned(),
            ("database", "url") => "DATABASE_URL".to_owned(),
            (section, key) => format!("TRIBUTARY_{section}__{key}").to_uppercase(),
        }
    }

    fn file(&self) -> Option<&Path> {
        self.key.ends_with("_file").then(|| Path::new(self.value.expose()))
    }
}

/// A mapping as one variable: programs read JSON there, as a part of YAML.
fn properties(kafka: &mut Fields) -> Option<Told> {
    let properties: BTreeMap<String, String> = kafka.optional("properties")?;
    let value = serde_json::json!(properties).to_string();
    Some(Told { section: "kafka", key: "properties".to_owned(), value: Secret::new(value) })
}

/// A child's own section, which only that child judges.
fn section(root: &mut Fields, section: &'static str) -> Vec<Told> {
    let keys: BTreeMap<String, Value> = root.optional(section).unwrap_or_default();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = |(key, value)| Told { section, key, value: Secret::new(text(value)) };
    keys.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Worker;
    use serde_json::json;
    use std::fs::write;

    fn connections(extra: Value) -> Connections {
        let mut all = json!({
            "kafka": {"bootstrap_servers": "b:1", "topic_prefix": "t."},
            "registry": {"url": "http://r"},
            "database": {"url": "postgres://d"},
        });
        for (section, keys) in extra.as_object().into_iter().flatten() {
            let section = all.as_object_mut().unwrap().entry(section).or_insert(json!({}));
            section.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        }
        Connections::read(&mut Fields::of_document("test", all)).unwrap()
    }

    fn variables(connections: &Connections, program: Program) -> Vec<String> {
        connections.variables(program).map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn without_security_a_child_is_told_the_addresses_alone() {
        let common = [
            "KAFKA_BOOTSTRAP_SERVERS=b:1",
            "TRIBUTARY_TOPIC_PREFIX=t.",
            "SCHEMA_REGISTRY_URL=http://r",
        ];
        let connections = connections(json!({}));
        assert_eq!(variables(&connections, Program::Collector), common);
        let persister = [&common[..], &["DATABASE_URL=postgres://d"]].concat();
        assert_eq!(variables(&connections, Program::Persister), persister);
    }

    #[test]
    fn every_key_of_security_is_a_variable() {
        let connections = connections(json!({
            "kafka": {
                "security_protocol": "sasl_ssl", "ssl_ca_file": "/ca", "ssl_certificate_file": "/c",
                "ssl_key_file": "/k", "sasl_mechanism": "PLAIN", "sasl_username": "u",
                "sasl_password_file": "/p", "properties": {"socket.timeout.ms": "1000"},
            },
            "registry": {"ca_file": "/rca", "username": "ru", "password_file": "/rp"},
            "database": {"password_file": "/dp"},
        }));
        let told = variables(&connections, Program::Collector);
        let expected = [
            "TRIBUTARY_KAFKA__SECURITY_PROTOCOL=sasl_ssl",
            "TRIBUTARY_KAFKA__SSL_CA_FILE=/ca",
            "TRIBUTARY_KAFKA__SSL_CERTIFICATE_FILE=/c",
            "TRIBUTARY_KAFKA__SSL_KEY_FILE=/k",
            "TRIBUTARY_KAFKA__SASL_MECHANISM=PLAIN",
            "TRIBUTARY_KAFKA__SASL_USERNAME=u",
            "TRIBUTARY_KAFKA__SASL_PASSWORD_FILE=/p",
            "TRIBUTARY_KAFKA__PROPERTIES={\"socket.timeout.ms\":\"1000\"}",
            "TRIBUTARY_REGISTRY__CA_FILE=/rca",
            "TRIBUTARY_REGISTRY__USERNAME=ru",
            "TRIBUTARY_REGISTRY__PASSWORD_FILE=/rp",
        ];
        assert_eq!(told[3..], expected);
        let database = ["DATABASE_URL=postgres://d", "TRIBUTARY_DATABASE__PASSWORD_FILE=/dp"];
        assert_eq!(variables(&connections, Program::Persister)[told.len()..], database);
    }

    #[test]
    fn a_childs_own_section_is_for_that_child_alone() {
        let connections = connections(json!({
            "collector": {"silence_max": "1m"}, "persister": {"batch_records": 100},
        }));
        let of_collector = "TRIBUTARY_COLLECTOR__SILENCE_MAX=1m".to_owned();
        let of_persister = "TRIBUTARY_PERSISTER__BATCH_RECORDS=100".to_owned();
        let collector = variables(&connections, Program::Collector);
        let persister = variables(&connections, Program::Persister);
        assert!(collector.contains(&of_collector) && !collector.contains(&of_persister));
        assert!(persister.contains(&of_persister) && !persister.contains(&of_collector));
        assert!(connections.names().any(|name| name == "TRIBUTARY_COLLECTOR__SILENCE_MAX"));
    }

    #[test]
    fn a_changed_file_makes_those_differ_that_are_told_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let connections = connections(json!({
            "kafka": {"sasl_password_file": path("kafka")},
            "database": {"password_file": path("database")},
        }));
        let fingerprints = || {
            let worker = |program| Worker { program, arguments: Vec::new(), fingerprint: 1 };
            let workers = [("c", Program::Collector), ("p", Program::Persister)];
            let mut desired: Desired =
                workers.map(|(name, program)| (name.to_owned(), worker(program))).into();
            connections.stamp(&mut desired);
            ["c", "p"].map(|name| desired[name].fingerprint)
        };
        let before = fingerprints();
        assert_eq!(fingerprints(), before);
        write(path("database"), "x").unwrap();
        let database_changed = fingerprints();
        assert_eq!(database_changed[0], before[0]);
        assert_ne!(database_changed[1], before[1]);
        write(path("kafka"), "x").unwrap();
        let kafka_changed = fingerprints();
        assert_ne!(kafka_changed[0], database_changed[0]);
        assert_ne!(kafka_changed[1], database_changed[1]);
    }
}
