//! Validated names: a raw string becomes one of these once, and is never checked again.

use std::fmt;

/// Why a name was refused; the text names the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: {rule}")]
pub struct InvalidName {
    what: &'static str,
    value: String,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the rule of this kind of name.
            ///
            /// # Errors
            /// [`InvalidName`], with the rule.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                Self::check(&value).map(|()| Self(value))
            }

            /// Checks the rule without keeping the name.
            ///
            /// # Errors
            /// [`InvalidName`], with the rule.
            pub fn check(value: &str) -> Result<(), InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(())
                } else {
                    Err(InvalidName { what: $what, value: shortened(value), rule: $rule })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A provider's instance, such as `vc1`: one source of truth.
    SourceName,
    "source",
    "1 to 63 of a-z, 0-9, '.' and '-'",
    |s| (1..=63).contains(&s.len())
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
);

name!(
    /// An entity type, such as `virtual_machine`: also the name of its table and view.
    TypeName,
    "type",
    "a lower-case letter, then up to 47 of a-z, 0-9 and '_'",
    is_identifier
);

name!(
    /// An attribute of an entity type: also the name of its column.
    AttributeName,
    "attribute",
    "a lower-case letter, then up to 47 of a-z, 0-9 and '_'",
    is_identifier
);

name!(
    /// What other objects of the source call an object: unique within source and type.
    NativeId,
    "native_id",
    "1 to 512 bytes without NUL",
    |s| (1..=512).contains(&s.len()) && !s.contains('\0')
);

impl NativeId {
    /// The id of a child: `escape(parent) + '/' + escape(own)`, so that the children of `p` are
    /// exactly the ids of `[p/, p0)` in byte order.
    ///
    /// # Errors
    /// [`InvalidName`] if the result is too long or has a NUL.
    pub fn child(parent: &str, own: &str) -> Result<Self, InvalidName> {
        Self::new(format!("{}/{}", escape(parent), escape(own)))
    }
}

/// Percent-escapes what separates the parts of an id: `%` and `/`.
#[must_use]
pub fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('/', "%2F")
}

/// The type's name of an Avro record: its name in snake case (`VirtualMachine`, `VMHost`,
/// `virtual_machine` become `virtual_machine`, `vm_host`, `virtual_machine`).
///
/// # Errors
/// [`InvalidName`] if that is no valid type name.
pub fn type_name_of_record(record: &str) -> Result<TypeName, InvalidName> {
    let chars: Vec<char> = record.chars().collect();
    let mut snake = String::with_capacity(record.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit());
        let ends_acronym = i > 0
            && chars[i - 1].is_uppercase()
            && chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || ends_acronym) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    TypeName::new(snake)
}

fn is_identifier(s: &str) -> bool {
    (1..=48).contains(&s.len())
        && s.as_bytes()[0].is_ascii_lowercase()
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn shortened(value: &str) -> String {
    value.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        assert!(SourceName::new("vc-1.lab").is_ok());
        assert!(SourceName::new("VC1").is_err());
        assert!(TypeName::new("virtual_machine").is_ok());
        assert!(TypeName::new("1vm").is_err());
        assert!(NativeId::new("a\0b").is_err());
        assert!(NativeId::new("x".repeat(513)).is_err());
    }

    #[test]
    fn record_names_become_snake_case() {
        for (record, name) in [
            ("VirtualMachine", "virtual_machine"),
            ("VMHost", "vm_host"),
            ("virtual_machine", "virtual_machine"),
            ("Ec2Instance", "ec2_instance"),
        ] {
            assert_eq!(type_name_of_record(record).unwrap().as_str(), name);
        }
    }

    #[test]
    fn children_are_a_range_of_their_parent() {
        let child = NativeId::child("a/b", "c%d").unwrap();
        assert_eq!(child.as_str(), "a%2Fb/c%25d");
        assert!(child.as_str() > "a%2Fb/" && child.as_str() < "a%2Fb0");
    }
}
