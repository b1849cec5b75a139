//! From objects of the API to entities: pure.

mod kinds;
mod values;

use kinds::KINDS;

use crate::updates::{ObjectContent, Ref};
use crate::xml::Element;
use provider::Entity;
use records::{NativeId, TypeName, Value};

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
    /// The attribute.
    pub attribute: &'static str,
    /// Its value, of the property's.
    pub value: fn(&Element) -> Value,
}

/// The `PropertySpec`s of all kinds.
#[must_use]
pub fn property_specs() -> String {
    KINDS.iter().map(|kind| kind.property_spec(&kind.paths())).collect()
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

    /// Every path once.
    #[must_use]
    pub fn paths(&self) -> Vec<&'static str> {
        let mut paths: Vec<_> = self.all_rows().map(|row| row.path).collect();
        paths.dedup();
        paths
    }

    /// The paths whose values a change at `name` concerns: what it is, is in, or contains.
    #[must_use]
    pub fn concerned(&self, name: &str) -> Vec<&'static str> {
        let mut paths = self.paths();
        paths.retain(|path| is_within(name, path) || is_within(path, name));
        paths
    }

    /// Whether a change of this name is about exactly one of the paths.
    #[must_use]
    pub fn has_path(&self, name: &str) -> bool {
        self.all_rows().any(|row| row.path == name)
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

/// `guest.net[4000].ipAddress` is within `guest.net`, and within itself.
fn is_within(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests;
