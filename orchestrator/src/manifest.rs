//! Manifests: YAML files that say which workers should run.

use crate::worker::{Desired, Program, Worker, fingerprint};
use chassis::{Fields, Mistakes};
use records::SourceName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// What every manifest says first.
pub const API_VERSION: &str = "tributary.dev/v1alpha1";

const KINDS: [&str; 2] = ["Provider", "PersisterGroup"];

/// A validated document.
enum Manifest {
    Provider { source: SourceName, spec: Value },
    PersisterGroup { group: String, replicas: NonZeroU32, config_file: Option<PathBuf> },
}

/// Reads all documents of all files and names the workers that they want: `collector-SOURCE` and
/// `persister-GROUP-0` up.
///
/// # Errors
/// All mistakes of all files together.
pub fn load(files: &[PathBuf]) -> Result<Desired, Mistakes> {
    let (mut workers, mut mistakes) = (BTreeMap::new(), Vec::new());
    for file in files {
        let documents = chassis::documents(file).unwrap_or_else(|Mistakes(found)| {
            mistakes.extend(found);
            Vec::new()
        });
        for mut document in documents {
            if let Some(manifest) = Manifest::read(&mut document) {
                add(&mut workers, manifest.workers(file), &mut document);
            }
            mistakes.extend(document.finish().err().into_iter().flat_map(|Mistakes(found)| found));
        }
    }
    if mistakes.is_empty() { Ok(workers) } else { Err(Mistakes(mistakes)) }
}

fn add(workers: &mut Desired, new: Vec<(String, Worker)>, document: &mut Fields) {
    if new.iter().any(|(name, _)| workers.contains_key(name)) {
        let problem = "an earlier manifest of the same kind has this name; rename or remove one";
        return document.mistake("metadata.name", problem);
    }
    workers.extend(new);
}

impl Manifest {
    fn read(document: &mut Fields) -> Option<Self> {
        let api_version = document.parsed("apiVersion", |text| match text.as_str() {
            API_VERSION => Ok(()),
            _ => Err(format!("expected {API_VERSION}, found {text:?}")),
        });
        let manifest = match document.required::<String>("kind").as_deref() {
            Some("Provider") => Self::read_provider(document),
            Some("PersisterGroup") => Self::read_persister_group(document),
            kind => Self::read_unknown(document, kind),
        };
        api_version.and(manifest)
    }

    /// Only the collector knows what else belongs to the specification of its kind.
    fn read_provider(document: &mut Fields) -> Option<Self> {
        let source = document.section("metadata").parsed("name", SourceName::new);
        let spec = document.required("spec");
        Some(Self::Provider { source: source?, spec: spec? })
    }

    fn read_persister_group(document: &mut Fields) -> Option<Self> {
        let group = document.section("metadata").parsed("name", group_name);
        let mut spec = document.section("spec");
        let replicas = spec.required("replicas");
        let config_file = spec.optional("config_file");
        Some(Self::PersisterGroup { group: group?, replicas: replicas?, config_file })
    }

    /// The rest can't be judged, so nothing is said about it.
    fn read_unknown(document: &mut Fields, kind: Option<&str>) -> Option<Self> {
        document.optional::<Value>("metadata");
        document.optional::<Value>("spec");
        if let Some(kind) = kind {
            let known = KINDS.join(" and ");
            document.mistake("kind", format!("unknown kind {kind:?}; the known ones are {known}"));
        }
        None
    }

    fn workers(self, file: &Path) -> Vec<(String, Worker)> {
        match self {
            Self::Provider { source, spec } => vec![collector(file, &source, &spec)],
            Self::PersisterGroup { group, replicas, config_file } => (0..replicas.get())
                .map(|slot| persister(&group, slot, config_file.as_deref()))
                .collect(),
        }
    }
}

/// The group's name becomes part of file names.
fn group_name(text: String) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let valid = !text.is_empty() && text.len() <= 200 && text.chars().all(plain);
    if valid {
        Ok(text)
    } else {
        Err(format!("expected letters, digits, '.', '_' and '-', found {text:?}"))
    }
}

fn collector(file: &Path, source: &SourceName, spec: &Value) -> (String, Worker) {
    let file = file.to_string_lossy();
    let arguments = ["run", "-f", &file, "--name", source.as_str()].map(str::to_owned);
    let fingerprint = fingerprint(&spec.to_string(), &named_files(spec));
    let worker = Worker { program: Program::Collector, arguments: arguments.into(), fingerprint };
    (format!("collector-{source}"), worker)
}

/// The number of replicas is not part of the fingerprint: a new one disturbs no old one.
fn persister(group: &str, slot: u32, config_file: Option<&Path>) -> (String, Worker) {
    let instance = format!("{group}-{slot}");
    let mut arguments =
        ["run", "--group", group, "--instance", &instance].map(str::to_owned).to_vec();
    if let Some(file) = config_file {
        arguments.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
    }
    let config = config_file.and_then(yaml).unwrap_or_default();
    let files: Vec<_> = config_file.into_iter().chain(named_files(&config)).collect();
    let fingerprint = fingerprint(&arguments.join(" "), &files);
    (
        format!("persister-{instance}"),
        Worker { program: Program::Persister, arguments, fingerprint },
    )
}

/// What the file holds; the persister tells what is wrong with it.
fn yaml(file: &Path) -> Option<Value> {
    serde_saphyr::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// The files that are named there, whatever it is: what keys that end in `_file` say.
fn named_files(spec: &Value) -> Vec<&Path> {
    match spec {
        Value::Object(keys) => keys
            .iter()
            .flat_map(|(key, value)| {
                let file = value.as_str().filter(|_| key.ends_with("_file"));
                file.map(Path::new).into_iter().chain(named_files(value))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(named_files).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
