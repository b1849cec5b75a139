//! The merged layers of settings, what has been read of them, and what is wrong.

use crate::Mistake;
use crate::settings::variable_of;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Values from one place; later layers override earlier ones.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) place: String,
    pub(crate) value: Value,
    /// Its values are plain text: numbers and lists are still to be parsed.
    pub(crate) from_environment: bool,
}

/// A tree of values that remembers who has read what.
#[derive(Debug)]
pub(crate) struct Document {
    layers: Vec<Layer>,
    merged: Value,
    /// Settings of a program: their first layer names every key.
    has_defaults: bool,
    reads: RefCell<BTreeMap<Vec<String>, Read>>,
    mistakes: RefCell<Vec<Mistake>>,
}

/// How a key was read: with all that is under it, or key by key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read {
    Value,
    Section,
}

impl Layer {
    pub(crate) fn of_file(place: &str, value: Value) -> Self {
        Self { place: place.to_owned(), value, from_environment: false }
    }
}

impl Document {
    /// One file.
    pub(crate) fn of_file(place: &str, value: Value) -> Self {
        Self::of_layers(vec![Layer::of_file(place, value)], false)
    }

    /// A program's default file and what overrides it, the last most of all.
    pub(crate) fn of_settings(defaults: Value, overrides: Vec<Layer>) -> Self {
        let defaults = Layer::of_file("default settings", defaults);
        Self::of_layers([defaults].into_iter().chain(overrides).collect(), true)
    }

    fn of_layers(layers: Vec<Layer>, has_defaults: bool) -> Self {
        let mut merged = Value::Object(Map::new());
        layers.iter().for_each(|layer| merge(&mut merged, &layer.value));
        let (reads, mistakes) = (RefCell::default(), RefCell::default());
        Self { layers, merged, has_defaults, reads, mistakes }
    }

    /// The value there, unless it is null or an empty text.
    pub(crate) fn value_at(&self, path: &[String]) -> Option<&Value> {
        at(&self.merged, path).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    pub(crate) fn mark(&self, path: Vec<String>, read: Read) {
        self.reads.borrow_mut().insert(path, read);
    }

    /// The layer that has the last word on the path, or on the nearest section above it.
    pub(crate) fn origin(&self, path: &[String]) -> &Layer {
        let newest_with = |path| self.layers.iter().rev().find(|l| at(&l.value, path).is_some());
        let above = (0..=path.len()).rev().map(|length| &path[..length]);
        above.filter_map(newest_with).next().expect("every layer has a value at its root")
    }

    /// Records a mistake in the layer that has the last word.
    pub(crate) fn tell(&self, path: &[String], problem: String) {
        self.tell_of(self.origin(path), path, problem);
    }

    fn tell_of(&self, layer: &Layer, path: &[String], problem: String) {
        let (place, key) = (layer.place.clone(), path.join("."));
        self.mistakes.borrow_mut().push(Mistake { place, key, problem });
    }

    /// Records that nothing has been given, in the file where it is best given.
    pub(crate) fn tell_missing(&self, path: &[String]) {
        let file = self.layers.iter().rfind(|layer| !layer.from_environment);
        let file = file.expect("the first layer is a file");
        let variable = variable_of(path).filter(|_| self.has_defaults);
        let remedy = match variable {
            Some(variable) => format!("set it in the file of --config or by {variable}"),
            None if self.has_defaults => "set it in the file of --config".to_owned(),
            None => "add it".to_owned(),
        };
        self.tell_of(file, path, format!("has no value; {remedy}"));
    }

    /// Every mistake, also the keys that nobody has read.
    pub(crate) fn conclude(&self) -> Vec<Mistake> {
        self.tell_unread(&self.merged, &mut Vec::new());
        self.tell_undocumented();
        self.mistakes.take()
    }

    fn tell_unread(&self, value: &Value, path: &mut Vec<String>) {
        let Value::Object(keys) = value else { return };
        for (key, value) in keys {
            path.push(key.clone());
            let read = self.reads.borrow().get(path).copied();
            match read {
                Some(Read::Value) => {}
                Some(Read::Section) => self.tell_unread(value, path),
                None => self.tell(path, "unknown key; correct its name or remove it".to_owned()),
            }
            path.pop();
        }
    }

    /// The default file is the documentation: it names every key that the program reads.
    fn tell_undocumented(&self) {
        let Some(defaults) = self.layers.first().filter(|_| self.has_defaults) else { return };
        for path in self.reads.borrow().keys() {
            if at(&defaults.value, path).is_none() {
                let problem = "the program reads it, so its default file must name it".to_owned();
                self.tell_of(defaults, path, problem);
            }
        }
    }
}

fn merge(base: &mut Value, overlay: &Value) {
    match (base, overlay) {
        (Value::Object(base), Value::Object(overlay)) => {
            for (key, value) in overlay {
                merge(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        // A heading whose keys are all commented out.
        (Value::Object(_), Value::Null) => {}
        (base, overlay) => *base = overlay.clone(),
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}
