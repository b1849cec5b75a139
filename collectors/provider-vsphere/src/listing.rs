//! A listing under way, and what it could not read.

use crate::map::Kind;
use crate::updates::ObjectContent;
use provider::{Closed, Range, Sink};
use records::{TypeName, Version};
use std::collections::BTreeMap;

/// A listing.
#[derive(Debug)]
pub struct Listing {
    /// Taken before its first request.
    pub version: Version,
    unreadable: BTreeMap<TypeName, Unreadable>,
}

/// Objects of a type that the account sees and can't read as a whole.
#[derive(Debug)]
struct Unreadable {
    objects: usize,
    /// Of one of them, what is missing and why.
    example: String,
}

impl Listing {
    /// A listing that has seen nothing yet.
    #[must_use]
    pub const fn new(version: Version) -> Self {
        Self { version, unreadable: BTreeMap::new() }
    }

    /// Remembers an object that has missing properties.
    pub fn could_not_read(&mut self, kind: &Kind, content: &ObjectContent) {
        let unreadable = self.unreadable.entry(kind.type_name()).or_insert_with(|| {
            let (path, fault) = content.missing.first().cloned().unwrap_or_default();
            let example = format!("{} of {}: {fault}", path, content.object);
            Unreadable { objects: 0, example }
        });
        unreadable.objects += 1;
    }

    /// Completes every type but those with objects that could not be read: they exist, so what is
    /// not listed of such a type can't be taken for gone. Only a listing that has completed all
    /// types is over.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn end(self, sink: &Sink, types: &[TypeName]) -> Result<(), Closed> {
        for entity_type in types {
            let Some(Unreadable { objects, example }) = self.unreadable.get(entity_type) else {
                sink.complete(self.version, entity_type.clone(), Range::all()).await?;
                continue;
            };
            tracing::warn!(
                %entity_type, objects, example,
                "not all of this type can be read, so nothing of it is taken for gone; grant the \
                 account the role Read-only on the root folder, propagated to its children"
            );
        }
        if self.unreadable.is_empty() {
            sink.listing_ends(self.version).await?;
        }
        Ok(())
    }
}
