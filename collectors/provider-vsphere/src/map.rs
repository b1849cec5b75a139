//! From objects of the API to entities: pure.

mod kinds;
mod values;

pub use kinds::KINDS;

use crate::updates::{ObjectContent, Ref};
use crate::xml::Element;
use provider::Entity;
use records::{NativeId, TypeName, Value};
use std::collections::BTreeSet;

/// One type of managed objects, and the entity type that it becomes.
#[derive(Debug)]
pub struct Kind {
    /// The API's name of it.
    pub object_type: &'static str,
    /// The entity type.
    pub entity_type: &'static str,
    /// What is true of every object of this kind.
    pub constants: fn() -> Vec<(&'static str, Value)>,
    /// Where its attributes come from; several may come from one path.
    pub rows: &'static [&'static [Row]],
}

/// Where an attribute comes from.
#[derive(Debug)]
pub struct Row {
    /// The path of a property. It may lead into data objects only by the properties of their
    /// *declared* types: a vCenter refuses others, such as `configurationEx.dasConfig`.
    pub path: &'static str,
    /// Another path, which changes whenever this one does, and which is watched in its place: this
    /// one is too heavy. It is read when an object enters, and when the other one changes.
    pub watched_by: Option<&'static str>,
    /// The attribute.
    pub attribute: &'static str,
    /// Its value, of the property's.
    pub value: fn(&Element) -> Value,
}

/// The `PropertySpec`s of all kinds.
#[must_use]
pub fn property_specs() -> String {
    KINDS.iter().map(|kind| kind.property_spec(&kind.watched())).collect()
}

/// The kind of an object.
#[must_use]
pub fn kind(object: &Ref) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.object_type == object.kind)
}

impl Kind {
    /// The entity type.
    ///
    /// # Panics
    /// Never: a test reads all of them.
    #[must_use]
    pub fn type_name(&self) -> TypeName {
        TypeName::new(self.entity_type).expect("the name of a file in schemas/avro")
    }

    /// Every path that an attribute is made of, once.
    #[must_use]
    pub fn paths(&self) -> Vec<&'static str> {
        distinct(self.all_rows().map(|row| row.path))
    }

    /// Every path that the vCenter is to tell of, once.
    #[must_use]
    pub fn watched(&self) -> Vec<&'static str> {
        distinct(self.all_rows().map(Row::watched))
    }

    /// The paths that have to be read, because only their changes are told.
    #[must_use]
    pub fn unwatched(&self) -> Vec<&'static str> {
        distinct(self.all_rows().filter(|row| row.watched_by.is_some()).map(|row| row.path))
    }

    /// The paths whose values a change at `name` concerns: what it is, is in, or contains.
    #[must_use]
    pub fn concerned(&self, name: &str) -> Vec<&'static str> {
        let rows = self
            .all_rows()
            .filter(|row| is_within(name, row.watched()) || is_within(row.watched(), name));
        distinct(rows.map(|row| row.path))
    }

    /// Whether a change of this name tells a whole value that attributes are made of.
    #[must_use]
    pub fn has_value(&self, name: &str) -> bool {
        self.all_rows().any(|row| row.path == name && row.watched_by.is_none())
    }

    /// Everything that `content` says of an object of this kind. `None` if its id is none.
    #[must_use]
    pub fn entity(&self, content: &ObjectContent) -> Option<Entity> {
        let mut entity = self.changed(content)?;
        entity.attributes.extend((self.constants)());
        Some(entity)
    }

    /// The attributes that the properties of `content` say something about.
    #[must_use]
    pub fn changed(&self, content: &ObjectContent) -> Option<Entity> {
        let properties = content.properties.iter();
        let attributes = properties.flat_map(|(name, value)| {
            self.all_rows()
                .filter(move |row| row.path == name)
                .map(move |row| (row.attribute, value.as_ref().map_or(Value::Null, row.value)))
        });
        let attributes = attributes.collect();
        let native_id = self.native_id(content)?;
        Some(Entity { entity_type: self.type_name(), native_id, attributes })
    }

    /// What other objects call it. `None` if that can't be an id.
    #[must_use]
    pub fn native_id(&self, content: &ObjectContent) -> Option<NativeId> {
        NativeId::new(content.object.id.as_str()).ok()
    }

    /// The `PropertySpec` of some paths.
    #[must_use]
    pub fn property_spec(&self, paths: &[&str]) -> String {
        let paths: String = paths.iter().map(|path| format!("<pathSet>{path}</pathSet>")).collect();
        format!("<propSet><type>{}</type>{paths}</propSet>", self.object_type)
    }

    fn all_rows(&self) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().copied().flatten()
    }
}

impl Row {
    fn watched(&self) -> &'static str {
        self.watched_by.unwrap_or(self.path)
    }
}

fn distinct(paths: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let distinct: BTreeSet<_> = paths.collect();
    distinct.into_iter().collect()
}

/// `guest.net[4000].ipAddress` is within `guest.net`, and within itself.
fn is_within(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests;
