//! What is wrong with settings or a manifest: all of it, each with its place and remedy.

use std::fmt;

/// One mistake of the person who wrote the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file or the environment variable.
    pub place: String,
    /// The key with its sections, such as `kafka.topic_prefix`; empty for the whole place.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.problem),
            key => write!(f, "{}: {key}: {}", self.place, self.problem),
        }
    }
}

/// Everything that is wrong, together. Only a person can mend it: exit code 64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// One mistake about a whole file.
    pub(crate) fn in_place(place: &str, problem: String) -> Self {
        Self(vec![Mistake { place: place.to_owned(), key: String::new(), problem }])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} mistakes:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl crate::ExitKind for Mistakes {
    fn is_final(&self) -> bool {
        true
    }
}
