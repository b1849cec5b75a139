//! Where Kafka and the registry are, and how to speak to them.

use chassis::{Fields, Secret};
use percent_encoding::percent_decode_str;
use rdkafka::ClientConfig;
use records::Topic;
use reqwest::Url;
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
        let address = fields.parsed("url", Address::parse);
        let ca_file = fields.optional("ca_file");
        let username = fields.optional("username");
        let password = fields.secret_file("password_file");
        let (address, password) = (address?, password?);
        let username = either(&mut fields, "username", (username, address.username));
        let password = either(&mut fields, "password_file", (password, address.password));
        Some(Self { url: address.url, ca_file, username, password })
    }

    /// Without credentials.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { url, ca_file: None, username: None, password: None }
    }
}

/// A value that is given in its own key, or in the URL.
fn either<T>(fields: &mut Fields, key: &str, (own, in_url): (Option<T>, Option<T>)) -> Option<T> {
    if own.is_some() && in_url.is_some() {
        fields.mistake(key, "registry.url has it, too; give it in one of both");
    }
    own.or(in_url)
}

/// A URL without the credentials that were in it: errors and logs show it.
struct Address {
    url: String,
    username: Option<String>,
    password: Option<Secret>,
}

impl Address {
    fn parse(text: String) -> Result<Self, String> {
        let mut url = Url::parse(&text).map_err(|error| format!("is no URL: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err("does not begin with http:// or https://; write it so".to_owned());
        }
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let username = Some(decoded(url.username())).filter(|username| !username.is_empty());
        let password = url.password().map(|password| Secret::new(decoded(password)));
        // Both work on every URL that has a host, as these schemes always have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let url = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, username, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What is made of a section `registry`, or its mistakes.
    fn registry(section: &Value) -> Result<RegistrySettings, String> {
        let mut root = Fields::of_document("test", json!({ "registry": section }));
        let settings = RegistrySettings::read(&mut root);
        root.finish().map_err(|mistakes| mistakes.to_string())?;
        settings.ok_or_else(|| "nothing".to_owned())
    }

    #[test]
    fn credentials_in_the_url_of_the_registry_do_not_show() {
        let url = "https://us%40er:hu%2Fsh@host:8081/path/";
        let settings = registry(&json!({ "url": url })).unwrap();
        assert_eq!(settings.url, "https://host:8081/path");
        assert_eq!(settings.username.as_deref(), Some("us@er"));
        assert_eq!(settings.password.as_ref().map(Secret::expose), Some("hu/sh"));
        assert!(!format!("{settings:?}").contains("hu"));

        let plain = registry(&json!({ "url": "http://host", "username": "user" })).unwrap();
        assert_eq!((plain.url.as_str(), plain.username.as_deref()), ("http://host", Some("user")));
        assert!(plain.password.is_none());
    }

    #[test]
    fn what_is_wrong_with_the_url_of_the_registry_is_told_without_it() {
        let both = json!({ "url": "http://user:hush@host", "username": "other" });
        assert!(registry(&both).unwrap_err().contains("registry.url has it, too"));
        for url in ["http://user:hush@host:port", "user:hush@host", "//user:hush@host", "http://"] {
            let mistake = registry(&json!({ "url": url })).unwrap_err();
            assert!(mistake.contains("registry.url") && !mistake.contains("hush"), "{mistake}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let mut settings = KafkaSettings::plain("b:1", "t.");
        settings.password = Some(Secret::new("hush"));
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.client().get("sasl.password"), Some("hush"));
        assert_eq!(settings.topic(Topic::InventoryLive), "t.inventory.live");
    }
}
