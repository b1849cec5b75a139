//! Where Kafka and the registry are, and how to speak to them.

use chassis::{Fields, Secret};
use rdkafka::ClientConfig;
use records::Topic;
use std::collections::BTreeMap;

/// The sections' keys that name files or texts of librdkafka's TLS and SASL settings.
const SECURITY: [(&str, &str); 6] = [
    ("security_protocol", "security.protocol"),
    ("ssl_ca_file", "ssl.ca.location"),
    ("ssl_certificate_file", "ssl.certificate.location"),
    ("ssl_key_file", "ssl.key.location"),
    ("sasl_mechanism", "sasl.mechanism"),
    ("sasl_username", "sasl.username"),
];

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// What every topic's name begins with.
    pub topic_prefix: String,
    properties: BTreeMap<String, String>,
    password: Option<Secret>,
}

impl KafkaSettings {
    /// Reads the section `kafka`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("kafka");
        let bootstrap_servers = fields.required("bootstrap_servers");
        let topic_prefix = fields.optional("topic_prefix").unwrap_or_default();
        let security: Vec<(&str, Option<String>)> =
            SECURITY.iter().map(|(key, property)| (*property, fields.optional(key))).collect();
        let password = fields.secret_file("sasl_password_file");
        let mut properties: BTreeMap<String, String> =
            fields.optional("properties").unwrap_or_default();
        for (property, value) in security {
            properties.extend(value.map(|value| (property.to_owned(), value)));
        }
        Some(Self {
            bootstrap_servers: bootstrap_servers?,
            topic_prefix,
            properties,
            password: password?,
        })
    }

    /// Without TLS and SASL.
    #[must_use]
    pub fn plain(bootstrap_servers: &str, topic_prefix: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic_prefix: topic_prefix.to_owned(),
            properties: BTreeMap::new(),
            password: None,
        }
    }

    /// A topic's full name.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        topic.name(&self.topic_prefix)
    }

    /// What every client has in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", "tributary");
        // Ten seconds by default: a broker that restarts would be back long before its clients.
        config.set("reconnect.backoff.max.ms", "1000");
        if let Some(password) = &self.password {
            config.set("sasl.password", password.expose());
        }
        for (property, value) in &self.properties {
            config.set(property, value);
        }
        config
    }
}

/// How to reach the schema registry.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The root of its Confluent-compatible API.
    pub url: String,
    pub(crate) ca_file: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl RegistrySettings {
    /// Reads the section `registry`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("registry");
        let url = fields.required::<String>("url");
        let ca_file = fields.optional("ca_file");
        let username = fields.optional("username");
        let password = fields.secret_file("password_file");
        let url = url?.trim_end_matches('/').to_owned();
        Some(Self { url, ca_file, username, password: password? })
    }

    /// Without credentials.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { url, ca_file: None, username: None, password: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let mut settings = KafkaSettings::plain("b:1", "t.");
        settings.password = Some(Secret::new("hush"));
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.client().get("sasl.password"), Some("hush"));
        assert_eq!(settings.topic(Topic::InventoryLive), "t.inventory.live");
    }
}
