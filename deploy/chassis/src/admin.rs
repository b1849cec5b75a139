//! The port for whoever watches a program: `/livez`, `/readyz`, `/metrics`.

use crate::Fields;
use crate::health::{Health, Summary};
use axum::Router;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// As the OpenMetrics specification 1.0 names it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The section `admin`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    listen: SocketAddr,
    address_file: Option<PathBuf>,
}

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, or not one of this machine.
    #[error("can't listen on {address}; set admin.listen to a free address of this machine")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The file that is to tell the address.
    #[error("can't write {}; set admin.address_file to a writable place", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The listening socket broke.
    #[error("the admin port broke")]
    Serve(#[from] io::Error),
}

impl AdminSettings {
    /// Reads `admin.listen` (address and port; port 0: any free one) and `admin.address_file`
    /// (null, or where to write the address that is then listened on).
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut admin = root.section("admin");
        let listen = admin.parsed("listen", |text| {
            text.parse().map_err(|_| {
                format!("expected an IP address and port such as 127.0.0.1:0, found {text:?}")
            })
        });
        let address_file = admin.optional("address_file");
        Some(Self { listen: listen?, address_file })
    }
}

/// Serves until `stop`. Cancel that one last: probes and metrics are wanted while the program
/// drains, too.
///
/// # Errors
/// [`AdminError`] if the port can't be opened or breaks.
pub async fn serve(
    settings: &AdminSettings,
    registry: Arc<Registry>,
    health: Health,
    stop: CancellationToken,
) -> Result<(), AdminError> {
    let listener = listen(settings).await?;
    let server = axum::serve(listener, router(registry, health));
    tokio::select! {
        result = server => Ok(result?),
        () = stop.cancelled() => Ok(()),
    }
}

async fn listen(settings: &AdminSettings) -> Result<TcpListener, AdminError> {
    let error = |source| AdminError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    tracing::info!(%address, "serving /livez, /readyz and /metrics");
    if let Some(path) = &settings.address_file {
        write_whole(path, &format!("{address}\n"))
            .await
            .map_err(|source| AdminError::AddressFile { path: path.clone(), source })?;
    }
    Ok(listener)
}

/// Nobody ever sees half of the file.
async fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    tokio::fs::write(&unfinished, text).await?;
    tokio::fs::rename(&unfinished, path).await
}

fn router(registry: Arc<Registry>, health: Health) -> Router {
    let live = health.clone();
    Router::new()
        .route("/livez", get(async move || answer(&live.liveness())))
        .route("/readyz", get(async move || answer(&health.readiness())))
        .route("/metrics", get(async move || metrics(&registry)))
}

fn answer(summary: &Summary) -> Response {
    let status = if summary.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(summary).expect("a map of texts has a JSON form");
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn metrics(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
