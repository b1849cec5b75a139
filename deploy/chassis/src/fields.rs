//! A reader of settings and manifests that tells all their mistakes together.

use crate::document::{Document, Read};
use crate::found::Found;
use crate::{Mistakes, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The keys of a document, or of one of its sections. Each read records its mistake and goes on,
/// so read *all* keys before you give up on one that is `None`, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Fields {
    document: Rc<Document>,
    path: Vec<String>,
    /// The section is no mapping, which has been told: its keys say nothing more.
    broken: bool,
}

impl Fields {
    /// A reader of one document, such as a manifest. `place` is what its mistakes begin with.
    #[must_use]
    pub fn of_document(place: &str, value: Value) -> Self {
        Self::of(Document::of_file(place, value))
    }

    pub(crate) fn of(document: Document) -> Self {
        let mut root = Self { document: Rc::new(document), path: Vec::new(), broken: false };
        root.expect_mapping();
        root
    }

    /// A value that must be given.
    pub fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.required_by(key, |found| found.deserialize())
    }

    /// A value that may be absent, null or an empty text: then it is `None`, as it is after a
    /// mistake.
    pub fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.read(key, |found| found.deserialize()).flatten()
    }

    /// A text that must be given, and what `parse` makes of it. Its error is told as it is.
    pub fn parsed<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<T> {
        self.required_by(key, |found| {
            parse(found.deserialize()?).map_err(|error| error.to_string())
        })
    }

    /// A duration that must be given: `250ms`, `3s`, `5m`, `24h` or `7d`.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.required_by(key, |found| found.duration())
    }

    /// A duration that may be absent, as with [`Self::optional`].
    pub fn optional_duration(&mut self, key: &str) -> Option<Duration> {
        self.read(key, |found| found.duration()).flatten()
    }

    /// What the file holds that is named here; `Some(None)` if none is named, `None` after a
    /// mistake.
    pub fn secret_file(&mut self, key: &str) -> Option<Option<Secret>> {
        self.read(key, |found| Secret::read(Path::new(&found.deserialize::<String>()?)))
    }

    /// The keys under `key`. An absent section reads as an empty one.
    #[must_use]
    pub fn section(&mut self, key: &str) -> Self {
        let path = self.mark(key, Read::Section);
        let mut section = Self { document: Rc::clone(&self.document), path, broken: self.broken };
        section.expect_mapping();
        section
    }

    /// Records a mistake that the caller has found, such as two keys that contradict each other.
    pub fn mistake(&mut self, key: &str, problem: impl Display) {
        let path = self.path_of(key);
        self.document.tell(&path, problem.to_string());
    }

    /// Call it on the root when everything has been read.
    ///
    /// # Errors
    /// Every mistake, and every key that nobody has read.
    pub fn finish(self) -> Result<(), Mistakes> {
        match self.document.conclude() {
            mistakes if mistakes.is_empty() => Ok(()),
            mistakes => Err(Mistakes(mistakes)),
        }
    }

    fn required_by<T>(
        &mut self,
        key: &str,
        convert: impl FnOnce(Found<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.read(key, convert)?;
        if value.is_none() && !self.broken {
            self.document.tell_missing(&self.path_of(key));
        }
        value
    }

    /// `Some(None)`: absent. `None`: a mistake, which has been recorded.
    fn read<T>(
        &mut self,
        key: &str,
        convert: impl FnOnce(Found<'_>) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let path = self.mark(key, Read::Value);
        let Some(value) = self.document.value_at(&path) else {
            return Some(None);
        };
        let from_environment = self.document.origin(&path).from_environment;
        match convert(Found { value, from_environment }) {
            Ok(value) => Some(Some(value)),
            Err(problem) => {
                self.document.tell(&path, problem);
                None
            }
        }
    }

    fn expect_mapping(&mut self) {
        let Some(value) = self.document.value_at(&self.path) else { return };
        if !self.broken && !value.is_object() {
            self.broken = true;
            let problem = format!("expected a mapping of keys, found {value}");
            self.document.tell(&self.path, problem);
        }
    }

    fn mark(&mut self, key: &str, read: Read) -> Vec<String> {
        let path = self.path_of(key);
        self.document.mark(path.clone(), read);
        path
    }

    fn path_of(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }
}
