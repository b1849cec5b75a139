//! Registers the schemas.

use crate::report::{Outcome, Report};
use crate::settings::Settings;
use crate::source::SchemaFile;
use wire::{Registry, RegistryError};

/// Registers what is missing; gives the schemas that the registry does not refuse: all, if it
/// can't be asked, so that what else is wrong shows, too.
pub async fn apply<'a>(
    settings: &Settings,
    files: &'a [SchemaFile],
    report: &mut Report,
) -> Vec<&'a SchemaFile> {
    match register_all(settings, files, report).await {
        Ok(accepted) => accepted,
        Err(error) => {
            report.add("schema", &settings.registry.url, Outcome::failed(&error, error.is_final()));
            files.iter().collect()
        }
    }
}

/// The error is one that all schemas would share.
async fn register_all<'a>(
    settings: &Settings,
    files: &'a [SchemaFile],
    report: &mut Report,
) -> Result<Vec<&'a SchemaFile>, RegistryError> {
    let registry = Registry::new(&settings.registry)?;
    let mut accepted = Vec::new();
    for file in files {
        match register(&registry, file, &settings.compatibility).await {
            Ok(change) => {
                report.changed("schema", &file.subject, change);
                accepted.push(file);
            }
            Err(error @ RegistryError::Refused { .. }) => {
                report.add("schema", &file.subject, Outcome::failed(&error, true));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(accepted)
}

async fn register(
    registry: &Registry,
    file: &SchemaFile,
    compatibility: &str,
) -> Result<Option<String>, RegistryError> {
    let known = registry.registered(&file.subject, &file.json).await?;
    let change = match known {
        Some(_) => None,
        None => {
            let id = registry.register(&file.subject, &file.json).await?;
            Some(format!("registered, id {}", id.0))
        }
    };
    // Some registries can't be told about a subject before it has a version.
    match registry.set_compatibility(&file.subject, compatibility).await {
        // Apicurio says that a level was set at this same moment by another: now it is replaced.
        Err(RegistryError::Refused { status: 409, .. }) => {
            registry.set_compatibility(&file.subject, compatibility).await?;
        }
        result => result?,
    }
    Ok(change)
}
