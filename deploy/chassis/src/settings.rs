//! Where settings come from: the program's default file, then `--config`, then the environment.

use crate::document::{Document, Layer};
use crate::{Fields, Mistakes, variables, yaml};
use serde_json::{Map, Value};
use std::path::Path;

/// Variables that other tools know, too, or that the orchestrator gives to its children. Programs
/// whose default file lacks the key ignore them.
const WELL_KNOWN: &[(&str, &str)] = &[
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka.bootstrap_servers"),
    ("SCHEMA_REGISTRY_URL", "registry.url"),
    ("DATABASE_URL", "database.url"),
    ("TRIBUTARY_TOPIC_PREFIX", "kafka.topic_prefix"),
    ("TRIBUTARY_SOURCE", "source"),
    ("TRIBUTARY_WRITER", "lease.writer"),
    ("TRIBUTARY_TERM", "lease.term"),
    ("TRIBUTARY_VERSION_FLOOR", "lease.version_floor"),
];

/// The settings of a program. `defaults` is its commented default file, which names every key that
/// the program reads (`null` where a value must be given); `config_file` overrides it, and the
/// environment overrides both: the well-known variables, then `TRIBUTARY_A__B` for `a.b`. A
/// variable that is empty counts as not set.
///
/// # Errors
/// A file that can't be read or is no YAML. All other mistakes are told by [`Fields::finish`].
pub fn load(defaults: &str, config_file: Option<&Path>) -> Result<Fields, Mistakes> {
    let environment = std::env::vars_os()
        .map(|(name, value)| [name, value].map(|text| text.to_string_lossy().into_owned()));
    layered(defaults, config_file, environment.collect())
}

/// Every YAML document of a file, each to be read by its own [`Fields`]. `${NAME}` in a text is the
/// value of that environment variable; one that isn't set is a mistake.
///
/// # Errors
/// A file that can't be read or is no YAML.
pub fn documents(file: &Path) -> Result<Vec<Fields>, Mistakes> {
    let place = file.display().to_string();
    let values =
        yaml::values(&text_of(file)?).map_err(|problem| Mistakes::in_place(&place, problem))?;
    let several = values.len() > 1;
    let place_of = |number| {
        if several { format!("{place}, document {number}") } else { place.clone() }
    };
    let numbered = (1..).zip(values);
    Ok(numbered.map(|(number, value)| document(&place_of(number), value)).collect())
}

/// The YAML document of a file with secrets in it: every text counts as it is written, so that a
/// password may hold `${`.
///
/// # Errors
/// A file that can't be read or is no YAML.
pub fn credentials(file: &Path) -> Result<Fields, Mistakes> {
    let place = file.display().to_string();
    Ok(Fields::of_document(&place, parse(&place, &text_of(file)?)?))
}

fn document(place: &str, mut value: Value) -> Fields {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let unknown = variables::substitute(&mut value, &variable);
    let mut fields = Fields::of_document(place, value);
    for name in unknown {
        fields.mistake("", format!("the environment variable {name} is not set; set it"));
    }
    fields
}

pub(crate) fn layered(
    defaults: &str,
    config_file: Option<&Path>,
    environment: Vec<[String; 2]>,
) -> Result<Fields, Mistakes> {
    let defaults = parse("default settings", defaults)?;
    let mut layers = environment_layers(&defaults, environment);
    if let Some(file) = config_file {
        let place = file.display().to_string();
        layers.insert(0, Layer::of_file(&place, parse(&place, &text_of(file)?)?));
    }
    Ok(Fields::of(Document::of_settings(defaults, layers)))
}

/// The variable that sets the key.
pub(crate) fn variable_of(path: &[String]) -> Option<String> {
    let key = path.join(".");
    let well_known = WELL_KNOWN.iter().find(|(_, known)| *known == key);
    well_known.map(|(variable, _)| (*variable).to_owned()).or_else(|| {
        let nested = path.len() > 1;
        nested.then(|| format!("TRIBUTARY_{}", path.join("__").to_uppercase()))
    })
}

fn environment_layers(defaults: &Value, mut variables: Vec<[String; 2]>) -> Vec<Layer> {
    variables.retain(|[_, value]| !value.is_empty());
    variables.sort();
    let known = variables.iter().filter_map(|[name, value]| {
        let (_, key) = WELL_KNOWN.iter().find(|(variable, _)| variable == name)?;
        let path: Vec<_> = key.split('.').collect();
        let has_key = path.iter().try_fold(defaults, |value, key| value.get(key)).is_some();
        has_key.then(|| environment_layer(name, &path, value))
    });
    let own = variables.iter().filter_map(|[name, value]| {
        let key = name.strip_prefix("TRIBUTARY_")?.to_lowercase();
        let path: Vec<_> = key.split("__").collect();
        (path.len() > 1).then(|| environment_layer(name, &path, value))
    });
    known.chain(own).collect()
}

fn environment_layer(name: &str, path: &[&str], value: &str) -> Layer {
    let nest = |inner, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), inner)]));
    let value = path.iter().rev().fold(Value::String(value.to_owned()), nest);
    Layer { place: format!("environment variable {name}"), value, from_environment: true }
}

fn text_of(file: &Path) -> Result<String, Mistakes> {
    std::fs::read_to_string(file).map_err(|error| {
        let problem = format!("can't read it ({error}); name a file that this program can read");
        Mistakes::in_place(&file.display().to_string(), problem)
    })
}

fn parse(place: &str, text: &str) -> Result<Value, Mistakes> {
    yaml::value(text).map_err(|problem| Mistakes::in_place(place, problem))
}

#[cfg(test)]
mod tests;
