//! The provider of vSphere: what a vCenter manages, by its SOAP API (vSphere Web Services, 6.7 to
//! 8).
//!
//! ```text
//! client (SOAP) -> session (calls) -> updates (what is told) -> watch -> map (pure) -> Sink
//! ```

mod check;
mod client;
mod error;
mod listing;
mod map;
mod session;
mod settings;
mod time;
mod traversal;
mod updates;
mod watch;
mod xml;

pub use settings::Settings;

use async_trait::async_trait;
use client::Client;
use error::ApiError;
use provider::{Provider, ProviderError, Report, Requests, Sink};
use records::{EntityType, TypeName};
use session::Session;
use settings::Credentials;

/// The files of `schemas/avro` that are filled, targets of references first.
const TYPES: [&str; 8] = [
    "folder",
    "datacenter",
    "cluster",
    "resource_pool",
    "datastore",
    "network",
    "host",
    "virtual_machine",
];

/// A vCenter.
#[derive(Debug)]
pub struct Vsphere {
    client: Client,
    credentials: Credentials,
    types: Vec<EntityType>,
    names: Vec<TypeName>,
    /// Of the run that has been dropped, until the next one ends it: sessions must not pile up.
    session: Option<Session>,
}

impl Vsphere {
    /// Reads the files that the settings name, and does not connect yet.
    ///
    /// # Errors
    /// [`ProviderError::Settings`].
    pub fn open(settings: &Settings) -> Result<Self, ProviderError> {
        let credentials = Credentials::load(&settings.credentials_file)?;
        let types = TYPES.map(records::builtin::entity_type).to_vec();
        let names = types.iter().map(|entity_type| entity_type.name().clone()).collect();
        Ok(Self { client: Client::new(settings)?, credentials, types, names, session: None })
    }

    async fn login(&mut self, requests: &Requests) -> Result<&mut Session, ApiError> {
        self.logout().await;
        let client = self.client.counting(requests.clone());
        let session = Session::login(client, &self.credentials).await?;
        Ok(self.session.insert(session))
    }

    async fn logout(&mut self) {
        if let Some(session) = self.session.take() {
            session.logout().await;
        }
    }

    async fn report(&mut self) -> Result<Report, ApiError> {
        let names = self.names.clone();
        check::report(self.login(&Requests::default()).await?, &names).await
    }

    async fn watch(&mut self, sink: &Sink) -> Result<(), ApiError> {
        let names = self.names.clone();
        watch::run(self.login(sink.requests()).await?, sink, &names).await
    }
}

#[async_trait]
impl Provider for Vsphere {
    fn types(&self) -> &[EntityType] {
        &self.types
    }

    async fn check(&mut self) -> Result<Report, ProviderError> {
        let result = self.report().await;
        self.logout().await;
        Ok(result?)
    }

    async fn run(&mut self, sink: Sink) -> Result<(), ProviderError> {
        let result = self.watch(&sink).await;
        self.logout().await;
        Ok(result?)
    }

    async fn close(&mut self) {
        self.logout().await;
    }
}
