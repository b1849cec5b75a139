//! What the property collector tells, in its own terms.

use crate::error::Fault;
use crate::xml::Element;
use quick_xml::escape::escape;
use std::fmt;

/// A managed object reference: an object of the inventory or one of the API's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ref {
    /// The type, such as `VirtualMachine`.
    pub kind: String,
    /// The value, such as `vm-12`: unique within the vCenter and its type.
    pub id: String,
}

/// What has changed since an earlier version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSet {
    /// What to ask with for the next ones.
    pub version: String,
    /// More is to come at once.
    pub is_truncated: bool,
    /// The changes, in their order.
    pub objects: Vec<ObjectUpdate>,
}

/// What has happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    /// It is there: from the start, or since now.
    Enter,
    /// Some of its properties have changed.
    Modify,
    /// It is gone, or out of sight.
    Leave,
}

/// One object's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUpdate {
    /// What has happened.
    pub kind: UpdateKind,
    /// Its properties.
    pub content: ObjectContent,
}

/// An object with some of its properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectContent {
    /// The object.
    pub object: Ref,
    /// Names of properties, or paths into them, and values; `None` where there is none now.
    pub properties: Vec<(String, Option<Element>)>,
    /// What could not be read, and why.
    pub missing: Vec<(String, Fault)>,
}

impl Ref {
    /// What an element refers to.
    #[must_use]
    pub fn read(element: &Element) -> Option<Self> {
        Some(Self { kind: element.of.clone()?, id: element.text.clone() })
    }

    /// What the first element of this name in `element` refers to.
    #[must_use]
    pub fn child_of(element: &Element, name: &str) -> Option<Self> {
        element.child(name).and_then(Self::read)
    }

    /// An element of this name that refers to it.
    #[must_use]
    pub fn xml(&self, name: &str) -> String {
        format!(r#"<{name} type="{}">{}</{name}>"#, escape(&self.kind), escape(&self.id))
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl UpdateSet {
    /// Reads an `UpdateSet`; there is one filter only. `None` if it has no version.
    #[must_use]
    pub fn read(set: Element) -> Option<Self> {
        let version = set.child("version")?.text.clone();
        let is_truncated = set.text_of("truncated") == "true";
        let filters = set.children.into_iter().filter(|child| child.name == "filterSet");
        let updates = filters.flat_map(|filter| filter.children);
        let updates = updates.filter(|child| child.name == "objectSet");
        Some(Self {
            version,
            is_truncated,
            objects: updates.filter_map(ObjectUpdate::read).collect(),
        })
    }
}

impl ObjectUpdate {
    fn read(update: Element) -> Option<Self> {
        let kind = match update.text_of("kind") {
            "enter" => UpdateKind::Enter,
            "modify" => UpdateKind::Modify,
            "leave" => UpdateKind::Leave,
            _ => return None,
        };
        Some(Self { kind, content: ObjectContent::read(update)? })
    }
}

impl ObjectContent {
    /// Reads an `ObjectUpdate` or an `ObjectContent`: the changes of the one and the properties of
    /// the other have the same form, but for a change's operation. An element is added to a
    /// collection, or removed from it, by a path to that element; so what names a whole property
    /// assigns it, or says that it has no value any more. `None` without an object.
    #[must_use]
    pub fn read(content: Element) -> Option<Self> {
        let object = Ref::child_of(&content, "obj")?;
        let (mut properties, mut missing) = (Vec::new(), Vec::new());
        for child in content.children {
            match child.name.as_str() {
                "changeSet" | "propSet" => properties.push(property(child)),
                "missingSet" => missing.push(missing_property(&child)),
                _ => {}
            }
        }
        Some(Self { object, properties, missing })
    }

    /// Whether it could not be read because it "has already been deleted or has not been completely
    /// created", as a vCenter says then.
    #[must_use]
    pub fn is_in_flux(&self) -> bool {
        self.missing.iter().any(|(_, fault)| fault.kind == "ManagedObjectNotFound")
    }

    /// With no value for each of `paths` that it has neither read nor failed to read: what has no
    /// value is left out of an answer.
    #[must_use]
    pub fn with_nulls(mut self, paths: &[&str]) -> Self {
        for path in paths {
            let is_read = self.properties.iter().any(|(name, _)| name == path);
            if !is_read && self.missing.iter().all(|(name, _)| name != path) {
                self.properties.push(((*path).to_owned(), None));
            }
        }
        self
    }
}

fn property(property: Element) -> (String, Option<Element>) {
    let name = property.text_of("name").to_owned();
    (name, property.into_child("val"))
}

fn missing_property(missing: &Element) -> (String, Fault) {
    let localized = missing.child("fault");
    let message = localized.map_or("", |fault| fault.text_of("localizedMessage"));
    let fault = localized.and_then(|fault| fault.child("fault"));
    let fault = fault.map(|fault| Fault::read(fault, message)).unwrap_or_default();
    (missing.text_of("path").to_owned(), fault)
}
