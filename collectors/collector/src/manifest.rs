//! The manifest of kind `Provider`: which source, and how to reach it.

use crate::CollectError;
use crate::providers::{self, Open};
use chassis::Fields;
use provider::{Provider, ProviderError};
use records::SourceName;
use std::path::Path;

const API_VERSION: &str = "tributary.dev/v1alpha1";

/// A source and its provider's settings.
pub struct Manifest {
    /// The source.
    pub source: SourceName,
    open: Open,
}

impl Manifest {
    /// Reads the `Provider` of this name, or the only one, from a file of one or several
    /// documents. Other documents are not looked at.
    ///
    /// # Errors
    /// All mistakes of the document, or that there is none.
    pub fn load(file: &Path, name: Option<&str>) -> Result<Self, CollectError> {
        let documents = chassis::documents(file)?;
        let mut providers: Vec<(Fields, Option<String>)> =
            documents.into_iter().filter_map(provider).collect();
        if let Some(name) = name {
            providers.retain(|(_, found)| found.as_deref() == Some(name));
        }
        let problem = match (providers.pop(), providers.is_empty()) {
            (Some((document, _)), true) => return Self::read(document),
            (Some(_), false) if name.is_some() => "several Providers have this name; remove one",
            (Some(_), false) => "there are several Providers; choose one with --name",
            (None, _) => "there is no document of kind Provider with this name; see metadata.name",
        };
        Err(CollectError::Manifest { file: file.display().to_string(), problem: problem.into() })
    }

    /// Makes the provider.
    ///
    /// # Errors
    /// Its settings can't work.
    pub fn open(self) -> Result<Box<dyn Provider>, ProviderError> {
        (self.open)()
    }

    fn read(mut document: Fields) -> Result<Self, CollectError> {
        document.parsed("apiVersion", |text| match text.as_str() {
            API_VERSION => Ok(()),
            _ => Err(format!("expected {API_VERSION}, found {text:?}")),
        });
        let source = document.section("metadata").parsed("name", SourceName::new);
        let open = providers::read(&mut document);
        document.finish()?;
        let told = "whatever is missing has been told as a mistake";
        Ok(Self { source: source.expect(told), open: open.expect(told) })
    }
}

/// A document of kind `Provider`, with its name.
fn provider(mut document: Fields) -> Option<(Fields, Option<String>)> {
    if document.optional::<String>("kind")? != "Provider" {
        return None;
    }
    let name = document.section("metadata").optional("name");
    Some((document, name))
}
