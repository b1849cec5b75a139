//! XML as far as SOAP needs it: elements, texts, and the attributes that name types.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// An element with all that is in it. Names have lost their prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// `xsi:type`: which type of the API it holds.
    pub holds: Option<String>,
    /// `type`, without prefix: of a managed object reference, the type of what it refers to.
    pub of: Option<String>,
    /// Its text.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Element>,
}

/// Why a text is no XML document.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It is not well-formed.
    #[error("not well-formed XML: {0}")]
    IllFormed(#[from] quick_xml::Error),
    /// It has a reference that XML does not define.
    #[error("unknown entity &{0};")]
    UnknownEntity(String),
    /// It ends too early, or has no root element.
    #[error("not a whole XML document")]
    Unfinished,
}

impl Element {
    /// The root element of a document.
    ///
    /// # Errors
    /// [`XmlError`].
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open = Open(vec![Self::default()]);
        loop {
            match reader.read_event()? {
                Event::Start(tag) => open.0.push(Self::tagged(&tag)?),
                Event::Empty(tag) => open.innermost()?.children.push(Self::tagged(&tag)?),
                Event::End(_) => open.close()?,
                Event::Text(text) => open.innermost()?.text.push_str(&text.xml10_content()),
                Event::CData(text) => open.innermost()?.text.push_str(&text.xml10_content()),
                Event::GeneralRef(entity) => entity_into(&entity, &mut open.innermost()?.text)?,
                Event::Eof => return open.root(),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// The first element of this name in it.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of this name in it, without the rest.
    #[must_use]
    pub fn into_child(self, name: &str) -> Option<Self> {
        self.children.into_iter().find(|child| child.name == name)
    }

    /// All elements of this name in it.
    pub fn children_named(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of this name; empty if there is none.
    #[must_use]
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }

    fn tagged(tag: &BytesStart<'_>) -> Result<Self, XmlError> {
        let name = tag.local_name().as_ref().to_owned();
        let mut element = Self { name, ..Self::default() };
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            match attribute.key.decompose() {
                (name, None) if name.as_ref() == "type" => {
                    element.of = Some(attribute.value.into_owned());
                }
                (name, Some(_)) if name.as_ref() == "type" => {
                    let (_, local) =
                        attribute.value.split_once(':').unwrap_or(("", &attribute.value));
                    element.holds = Some(local.to_owned());
                }
                _ => {}
            }
        }
        Ok(element)
    }
}

/// The elements that are begun and not ended, outermost first; the first stands for the document.
struct Open(Vec<Element>);

impl Open {
    fn innermost(&mut self) -> Result<&mut Element, XmlError> {
        self.0.last_mut().ok_or(XmlError::Unfinished)
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let ended = self.0.pop().ok_or(XmlError::Unfinished)?;
        self.innermost()?.children.push(ended);
        Ok(())
    }

    fn root(mut self) -> Result<Element, XmlError> {
        let mut document = self.0.pop().ok_or(XmlError::Unfinished)?;
        let is_whole = self.0.is_empty() && document.children.len() == 1;
        document.children.pop().filter(|_| is_whole).ok_or(XmlError::Unfinished)
    }
}

fn entity_into(entity: &BytesRef<'_>, text: &mut String) -> Result<(), XmlError> {
    match entity.resolve_char_ref()? {
        Some(character) => text.push(character),
        None => {
            let known = resolve_predefined_entity(entity);
            text.push_str(known.ok_or_else(|| XmlError::UnknownEntity(entity.to_string()))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_whatever_the_prefix_is() {
        let text = r#"<?xml version="1.0"?><s:a xmlns:s="x"><val type="HostSystem"
            xmlns:XSI="http://www.w3.org/2001/XMLSchema-instance"
            XSI:type="vim25:ManagedObjectReference">host-1</val><empty/></s:a>"#;
        let root = Element::parse(text).unwrap();
        let val = root.child("val").unwrap();
        assert_eq!((root.name.as_str(), val.text.as_str()), ("a", "host-1"));
        assert_eq!(val.of.as_deref(), Some("HostSystem"));
        assert_eq!(val.holds.as_deref(), Some("ManagedObjectReference"));
        assert_eq!(root.children.len(), 2);
    }

    #[test]
    fn entities_become_what_they_stand_for() {
        let root = Element::parse("<a>1 &lt; 2 &amp;&#x41;&#66;<![CDATA[&lt;]]></a>").unwrap();
        assert_eq!(root.text, "1 < 2 &AB&lt;");
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        for text in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "</a>"] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
    }
}
