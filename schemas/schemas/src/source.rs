//! Where schemas come from: the program itself, and a folder of more.

use records::{EntityType, SchemaError, builtin, contract};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One `.avsc`.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// The registry's subject: the record's full name.
    pub subject: String,
    /// Its text.
    pub json: String,
    /// The entity type that it describes; `None`: a record of the contract.
    pub entity: Option<EntityType>,
}

/// Why the schemas can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder, or a file of it.
    #[error("can't read {path}: {source}; name a folder of .avsc files that can be read")]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No entity type.
    #[error("{path}: {source}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        source: SchemaError,
    },
    /// Two record types want the same table.
    #[error(
        "{path}: record {subject} wants the table {table}, which is that of {other}; rename \
             the record"
    )]
    Taken {
        /// The file.
        path: PathBuf,
        /// Its record.
        subject: String,
        /// The table's name.
        table: String,
        /// Whose table it is.
        other: String,
    },
}

/// The embedded schemas, then those of the folder in the order of their names; and what is wrong
/// with files of the folder, all of it.
#[must_use]
pub fn load(folder: Option<&Path>) -> (Vec<SchemaFile>, Vec<SourceError>) {
    let mut files: Vec<SchemaFile> = builtin::FILES.iter().map(embedded).collect();
    let mut errors = Vec::new();
    for path in folder.map_or_else(|| Ok(Vec::new()), list).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    }) {
        match read(&path, &files) {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error),
        }
    }
    (files, errors)
}

fn embedded((name, json): &(&str, &str)) -> SchemaFile {
    let entity = (!contract::NAMES.contains(name)).then(|| builtin::entity_type(name));
    let subject = entity.as_ref().map_or_else(|| full_name(json), |e| e.subject().to_owned());
    SchemaFile { subject, json: (*json).to_owned(), entity }
}

fn full_name(json: &str) -> String {
    let schema: Value = serde_json::from_str(json).expect("a schema of this project is JSON");
    let text = |key: &str| schema[key].as_str().unwrap_or_default();
    format!("{}.{}", text("namespace"), text("name"))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> =
        entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "avsc"));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path, files: &[SchemaFile]) -> Result<SchemaFile, SourceError> {
    let json = fs::read_to_string(path)
        .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
    let entity = EntityType::parse(&json)
        .map_err(|source| SourceError::Invalid { path: path.to_owned(), source })?;
    let subject = entity.subject().to_owned();
    let same_table = |file: &&SchemaFile| {
        file.subject != subject
            && file.entity.as_ref().is_some_and(|other| other.name() == entity.name())
    };
    if let Some(other) = files.iter().find(same_table) {
        return Err(SourceError::Taken {
            path: path.to_owned(),
            table: entity.name().to_string(),
            other: other.subject.clone(),
            subject,
        });
    }
    Ok(SchemaFile { subject, json, entity: Some(entity) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_embedded_under_its_full_names() {
        let (files, errors) = load(None);
        assert!(errors.is_empty());
        assert!(files.iter().any(|file| file.subject == "tributary.inventory.Extent"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let (_, errors) = load(Some(Path::new("no/such/folder")));
        assert!(errors[0].to_string().contains("no/such/folder"), "{}", errors[0]);
    }
}
