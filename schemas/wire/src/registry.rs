//! A Confluent-compatible schema registry, as far as it is needed here.

use crate::{RegistrySettings, SchemaId};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A failure of the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The settings can't make a client.
    #[error("the registry's settings are not valid: {0}; see the section registry")]
    Settings(String),
    /// It can't be reached, or it failed.
    #[error(
        "schema registry {url}: {reason}; check that it is up and that SCHEMA_REGISTRY_URL \
             is right"
    )]
    Unavailable {
        /// What was asked.
        url: String,
        /// What came back.
        reason: String,
    },
    /// It refuses the credentials.
    #[error(
        "schema registry {url} refuses the credentials ({status}); see registry.username and \
             registry.password_file"
    )]
    Denied {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It has no schema under this id, as it says itself.
    #[error("schema registry {url} has no such schema: {reason}")]
    NoSchema {
        /// What was asked.
        url: String,
        /// The registry's own words.
        reason: String,
    },
    /// Something that is no registry answers, or another path is the API's root.
    #[error(
        "{url} is not found ({reason}), and no schema registry says so; correct the path in \
             SCHEMA_REGISTRY_URL"
    )]
    NotARegistry {
        /// What was asked.
        url: String,
        /// What came back.
        reason: String,
    },
    /// It says no: there is no such subject, or the schema is not compatible.
    #[error("schema registry {url} refuses ({status}): {reason}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The registry's own words.
        reason: String,
    },
}

impl RegistryError {
    /// Whether asking again can't help, before a person has mended something.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

/// A client of the registry; clones share its cache of schemas.
#[derive(Debug, Clone)]
pub struct Registry {
    settings: RegistrySettings,
    client: Client,
    schemas: Arc<Mutex<HashMap<i32, Arc<str>>>>,
}

impl Registry {
    /// Does not connect yet.
    ///
    /// # Errors
    /// [`RegistryError::Settings`], such as a CA file that can't be read.
    pub fn new(settings: &RegistrySettings) -> Result<Self, RegistryError> {
        let invalid = |error: &dyn std::fmt::Display| RegistryError::Settings(error.to_string());
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder().timeout(Duration::from_secs(15));
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file)
                .map_err(|error| RegistryError::Settings(format!("ca_file {file}: {error}")))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|e| invalid(&e))?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|error| invalid(&error))?;
        Ok(Self { settings: settings.clone(), client, schemas: Arc::default() })
    }

    /// Registers a schema under a subject; a known one keeps its id.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] if it is not compatible with the subject's versions.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        let body = json!({ "schema": schema });
        let path = format!("/subjects/{subject}/versions");
        let answer = self.call(Method::POST, &path, Some(&body)).await?;
        let id = answer["id"].as_i64().and_then(|id| i32::try_from(id).ok());
        id.map(SchemaId).ok_or_else(|| self.unexpected(&path, &answer))
    }

    /// The id of a schema under a subject; `None` if it isn't registered.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn registered(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Option<SchemaId>, RegistryError> {
        let body = json!({ "schema": schema });
        match self.call(Method::POST, &format!("/subjects/{subject}"), Some(&body)).await {
            Ok(answer) => Ok(answer["id"].as_i64().and_then(|id| id.try_into().ok()).map(SchemaId)),
            Err(RegistryError::NoSchema { .. } | RegistryError::Refused { status: 404, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The schema with this id.
    ///
    /// # Errors
    /// [`RegistryError::NoSchema`] if there is none.
    pub async fn schema(&self, id: SchemaId) -> Result<Arc<str>, RegistryError> {
        if let Some(schema) = self.cache(|schemas| schemas.get(&id.0).cloned()) {
            return Ok(schema);
        }
        Ok(self.keep(id, &self.ask(id).await?))
    }

    /// The schema that the registry has under this id now, whatever it had before.
    ///
    /// # Errors
    /// [`RegistryError::NoSchema`] if there is none.
    pub async fn ask(&self, id: SchemaId) -> Result<String, RegistryError> {
        let path = format!("/schemas/ids/{}", id.0);
        let answer = self.call(Method::GET, &path, None).await?;
        let schema = answer["schema"].as_str().ok_or_else(|| self.unexpected(&path, &answer))?;
        Ok(schema.to_owned())
    }

    /// The ids that were asked for so far, and what they stand for.
    #[must_use]
    pub fn known(&self) -> Vec<(SchemaId, Arc<str>)> {
        let clone = |(id, schema): (&i32, &Arc<str>)| (SchemaId(*id), Arc::clone(schema));
        self.cache(|schemas| schemas.iter().map(clone).collect())
    }

    /// Answers with this schema from now on: what the id stood for when the registry knew it.
    pub fn keep(&self, id: SchemaId, schema: &str) -> Arc<str> {
        let schema: Arc<str> = schema.into();
        self.cache(|schemas| schemas.insert(id.0, Arc::clone(&schema)));
        schema
    }

    /// Sets a subject's compatibility level, such as `BACKWARD_TRANSITIVE`.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn set_compatibility(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let body = json!({ "compatibility": level });
        self.call(Method::PUT, &format!("/config/{subject}"), Some(&body)).await.map(drop)
    }

    fn cache<T>(&self, use_it: impl FnOnce(&mut HashMap<i32, Arc<str>>) -> T) -> T {
        use_it(&mut self.schemas.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let url = format!("{}{path}", self.settings.url);
        let mut request = self.client.request(method, &url);
        if let Some(username) = &self.settings.username {
            let password = self.settings.password.as_ref().map(chassis::Secret::expose);
            request = request.basic_auth(username, password);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        let failed = |error: reqwest::Error| RegistryError::Unavailable {
            url: url.clone(),
            reason: chassis::exit::chain(&error.without_url()),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        if status.is_success() {
            return serde_json::from_str(&text)
                .map_err(|error| RegistryError::Unavailable { url, reason: error.to_string() });
        }
        Err(refusal(url, status, &text))
    }

    fn unexpected(&self, path: &str, answer: &Value) -> RegistryError {
        let url = format!("{}{path}", self.settings.url);
        RegistryError::Unavailable { url, reason: format!("unexpected answer {answer}") }
    }
}

/// The error codes by which a registry says that it has no such subject, version or schema.
const NOT_FOUND: RangeInclusive<i64> = 40_400..=40_499;

/// The error code by which a registry says that it has no such schema.
const NO_SCHEMA: i64 = 40_403;

fn refusal(url: String, status: StatusCode, text: &str) -> RegistryError {
    let words = serde_json::from_str::<Value>(text).unwrap_or_default();
    let code = words["error_code"].as_i64().unwrap_or_default();
    let reason = match words["message"].as_str() {
        Some(message) => message.to_owned(),
        None => text.chars().take(300).collect(),
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            RegistryError::Denied { url, status: status.as_u16() }
        }
        StatusCode::NOT_FOUND if code == NO_SCHEMA => RegistryError::NoSchema { url, reason },
        StatusCode::NOT_FOUND if !NOT_FOUND.contains(&code) => {
            RegistryError::NotARegistry { url, reason: format!("{status}: {reason}") }
        }
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            RegistryError::Refused { url, status: status.as_u16(), reason }
        }
        _ => RegistryError::Unavailable { url, reason: format!("{status}: {reason}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of an answer: the variant's name.
    fn made_of(status: StatusCode, text: &str) -> String {
        let error = refusal("http://r/schemas/ids/7".to_owned(), status, text);
        let name = format!("{error:?}");
        name.split(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn only_the_registry_itself_can_say_that_there_is_no_schema() {
        let not_found = StatusCode::NOT_FOUND;
        // Apicurio's words, and Confluent's.
        let apicurio = r#"{"message":"No content with ID '7' was found.","error_code":40403}"#;
        assert_eq!(made_of(not_found, apicurio), "NoSchema");
        let confluent = r#"{"error_code":40403,"message":"Schema 7 not found"}"#;
        assert_eq!(made_of(not_found, confluent), "NoSchema");
        let subject = r#"{"message":"No artifact with ID 'x' was found.","error_code":40401}"#;
        assert_eq!(made_of(not_found, subject), "Refused");
        // What web servers and proxies say; the second is Apicurio's outside of the API's path.
        for other in ["", r#"{"title":"NotFound","status":404}"#, "<h1>404</h1>"] {
            assert_eq!(made_of(not_found, other), "NotARegistry");
        }
        assert_eq!(made_of(StatusCode::UNAUTHORIZED, confluent), "Denied");
        assert_eq!(made_of(StatusCode::BAD_GATEWAY, confluent), "Unavailable");
    }
}
