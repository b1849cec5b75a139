//! The schemas that come with the project: every `schemas/avro/*.avsc`, embedded.

use crate::EntityType;
use crate::contract;

/// File names without extension, and contents, in the order of the names.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/avro_files.rs"));

/// The source of `schemas/avro/NAME.avsc`.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, json)| *json)
}

/// The entity type of `schemas/avro/NAME.avsc`.
///
/// # Panics
/// If there is no such file or it is no entity type: both are mistakes of this project, which its
/// tests would show.
#[must_use]
pub fn entity_type(name: &str) -> EntityType {
    let json = source(name).expect("an entity type of schemas/avro");
    EntityType::parse(json).expect("a valid entity type")
}

/// Every entity type that comes with the project.
#[must_use]
pub fn entity_types() -> Vec<EntityType> {
    FILES
        .iter()
        .filter(|(name, _)| !contract::NAMES.contains(name))
        .map(|(name, _)| entity_type(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_as_its_type() {
        let types = entity_types();
        assert_eq!(types.len() + contract::NAMES.len(), FILES.len());
        for entity_type in types {
            assert!(source(entity_type.name().as_str()).is_some(), "{}", entity_type.name());
        }
    }
}
