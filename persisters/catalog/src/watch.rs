//! Looks again at what the registry has under the ids that were met: each is asked for once, and a
//! registry that was replaced since gives it to another schema.

use crate::error::CatalogError;
use crate::remembered::is_same;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::{Registry, RegistryError};

/// How often: until it is noticed, records of another schema are read wrongly.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Looks until `stop`. That schemas are lost is told once: what they were is known.
///
/// # Errors
/// [`CatalogError::OtherRegistry`].
pub async fn watch(registry: Registry, stop: CancellationToken) -> Result<(), CatalogError> {
    let mut was_told = false;
    loop {
        let looked = async {
            sleep(LOOK_EVERY).await;
            lost(&registry).await
        };
        let lost = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            lost = looked => lost?,
        };
        if lost > 0 && !was_told {
            tracing::warn!(
                schemas = lost,
                "the registry has lost schemas that are in use; restore it before producers get \
                 their ids for other schemas"
            );
        }
        was_told = lost > 0;
    }
}

/// How many of the schemas that were met the registry does not have any more. Where it does not
/// answer, whoever needs it tells that.
async fn lost(registry: &Registry) -> Result<usize, CatalogError> {
    let mut lost = 0;
    for (id, known) in registry.known() {
        match registry.ask(id).await {
            Ok(now) if is_same(&known, &now) => {}
            Ok(_) => return Err(CatalogError::OtherRegistry(id.0)),
            Err(RegistryError::NoSchema { .. }) => lost += 1,
            Err(_) => break,
        }
    }
    Ok(lost)
}
