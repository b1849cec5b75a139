//! Lists what a vCenter has, then follows its changes.
//!
//! One filter tells both: what the property collector tells from an empty version on, page by page
//! until one is not truncated, is the state at the start; what it tells after that are the changes
//! (`PropertyCollector.WaitForUpdatesEx`).

use crate::error::ApiError;
use crate::listing::Listing;
use crate::map::{self, Kind};
use crate::session::Session;
use crate::updates::{ObjectContent, ObjectUpdate, Ref, UpdateKind};
use provider::{Change, Closed, Sink};
use records::{TypeName, Version};
use std::collections::BTreeMap;

/// Lists, then follows, until something fails.
///
/// # Errors
/// What ended it.
pub async fn run(session: &mut Session, sink: &Sink, types: &[TypeName]) -> Result<(), ApiError> {
    let mut listing = Some(Listing::new(sink.version().await?));
    session.create_filter(&map::property_specs()).await?;
    let mut version = String::new();
    loop {
        let Some(updates) = session.wait(&version).await? else {
            sink.alive().await?;
            continue;
        };
        version = updates.version;
        let mut stamped = stamped(sink, updates.objects).await?;
        let mut watch = Watch { session, sink, listing: listing.as_mut() };
        watch.read_unwatched(&mut stamped).await?;
        for (received, update) in stamped {
            watch.update(received, update).await?;
        }
        if !updates.is_truncated
            && let Some(listing) = listing.take()
        {
            listing.end(sink, types).await?;
        }
    }
}

/// Each update with a version of its own, all of them taken before anything else can delay them:
/// one answer may hold several changes of one attribute.
async fn stamped(
    sink: &Sink,
    updates: Vec<ObjectUpdate>,
) -> Result<Vec<(Version, ObjectUpdate)>, Closed> {
    let mut stamped = Vec::with_capacity(updates.len());
    for update in updates {
        stamped.push((sink.version().await?, update));
    }
    Ok(stamped)
}

struct Watch<'a> {
    session: &'a mut Session,
    sink: &'a Sink,
    /// The listing that is under way.
    listing: Option<&'a mut Listing>,
}

impl Watch<'_> {
    /// Adds to the objects that enter what the filter does not tell of them. One that is gone
    /// already stays without it: its end is going to be told.
    async fn read_unwatched(
        &mut self,
        updates: &mut [(Version, ObjectUpdate)],
    ) -> Result<(), ApiError> {
        for kind in map::KINDS.iter().filter(|kind| !kind.unwatched().is_empty()) {
            let mut entered: BTreeMap<Ref, &mut ObjectContent> = updates
                .iter_mut()
                .filter(|(_, update)| update.kind == UpdateKind::Enter)
                .map(|(_, update)| (update.content.object.clone(), &mut update.content))
                .filter(|(object, _)| object.kind == kind.object_type)
                .collect();
            if entered.is_empty() {
                continue;
            }
            let objects: Vec<Ref> = entered.keys().cloned().collect();
            let spec = kind.property_spec(&kind.unwatched());
            for read in self.session.read(&objects, &spec).await? {
                if let Some(content) = entered.get_mut(&read.object) {
                    content.properties.extend(read.properties);
                    content.missing.extend(read.missing);
                }
            }
        }
        Ok(())
    }

    async fn update(&mut self, received: Version, update: ObjectUpdate) -> Result<(), ApiError> {
        let content = update.content;
        let Some(kind) = map::kind(&content.object) else {
            tracing::warn!(object = %content.object, "of a type that is not known: left out");
            return Ok(());
        };
        match update.kind {
            UpdateKind::Enter if content.is_in_flux() => {
                // It was being made or ended: what it is now, is asked for by itself.
                let spec = kind.property_spec(&kind.paths());
                match self.session.read(&[content.object], &spec).await?.pop() {
                    Some(now) if !now.is_in_flux() => self.enter(received, kind, &now).await,
                    _ => Ok(()),
                }
            }
            UpdateKind::Enter => self.enter(received, kind, &content).await,
            UpdateKind::Modify => self.modify(received, kind, content).await,
            UpdateKind::Leave => match kind.native_id(&content) {
                Some(id) => self.send(received, Change::Delete(kind.type_name(), id)).await,
                None => Ok(()),
            },
        }
    }

    /// What can't be read as a whole is no whole object: only what can be read of it is sent.
    async fn enter(
        &mut self,
        received: Version,
        kind: &Kind,
        content: &ObjectContent,
    ) -> Result<(), ApiError> {
        if !content.missing.is_empty() {
            if let Some(listing) = &mut self.listing {
                listing.could_not_read(kind, content);
            }
            return self.send_update(received, kind, content).await;
        }
        let Some(entity) = kind.entity(content) else { return Ok(()) };
        match &self.listing {
            Some(listing) => Ok(self.sink.listed(listing.version, entity).await?),
            None => self.send(received, Change::Upsert(entity)).await,
        }
    }

    async fn modify(
        &mut self,
        received: Version,
        kind: &Kind,
        mut content: ObjectContent,
    ) -> Result<(), ApiError> {
        let mut concerned = Vec::new();
        content.properties.retain(|(name, _)| {
            let has_value = kind.has_value(name);
            if !has_value {
                concerned.extend(kind.concerned(name));
            }
            has_value
        });
        self.send_update(received, kind, &content).await?;
        if concerned.is_empty() {
            return Ok(());
        }
        // A part of a property has changed, or one that is not watched itself: only the vCenter
        // knows what makes the whole now.
        concerned.sort_unstable();
        concerned.dedup();
        let before = self.sink.version().await?;
        let spec = kind.property_spec(&concerned);
        for now in self.session.read(&[content.object], &spec).await? {
            self.send_update(before, kind, &now.with_nulls(&concerned)).await?;
        }
        Ok(())
    }

    async fn send_update(
        &self,
        version: Version,
        kind: &Kind,
        content: &ObjectContent,
    ) -> Result<(), ApiError> {
        match kind.changed(content).filter(|entity| !entity.attributes.is_empty()) {
            Some(entity) => self.send(version, Change::Update(entity)).await,
            None => Ok(()),
        }
    }

    async fn send(&self, version: Version, change: Change) -> Result<(), ApiError> {
        Ok(self.sink.changed(version, change).await?)
    }
}

#[cfg(test)]
mod tests;
