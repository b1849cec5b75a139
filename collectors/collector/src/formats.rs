//! Schemas in the registry, and records framed with their ids.

use crate::CollectError;
use records::contract::{ContractRecord, Delete, Directive, Extent, Lease, Position};
use records::{EncodeError, Encoder, EntityType, TypeName, Upsert};
use std::collections::BTreeMap;
use wire::{Registry, SchemaId, frame, frame_header};

/// Everything that this collector can write.
#[derive(Debug)]
pub struct Formats {
    entities: BTreeMap<TypeName, Format>,
    contract: BTreeMap<&'static str, SchemaId>,
}

/// How one entity type is written.
#[derive(Debug)]
pub struct Format {
    id: SchemaId,
    encoder: Encoder,
}

impl Formats {
    /// Registers the provider's types and the records of the contract; known ones keep their ids.
    ///
    /// # Errors
    /// The registry can't be reached, or refuses a schema.
    pub async fn register(registry: &Registry, types: &[EntityType]) -> Result<Self, CollectError> {
        let mut entities = BTreeMap::new();
        for entity_type in types {
            let id = registry.register(entity_type.subject(), entity_type.json()).await?;
            let format = Format { id, encoder: Encoder::new(entity_type.clone()) };
            entities.insert(entity_type.name().clone(), format);
        }
        let mut contract = BTreeMap::new();
        for (subject, json) in contract_schemas() {
            contract.insert(subject, registry.register(subject, json).await?);
        }
        Ok(Self { entities, contract })
    }

    /// How a type is written, if it is one of the provider's.
    #[must_use]
    pub fn entity(&self, entity_type: &TypeName) -> Option<&Format> {
        self.entities.get(entity_type)
    }

    /// A framed record of the contract.
    ///
    /// # Panics
    /// Never: all of them are registered.
    #[must_use]
    pub fn frame<R: ContractRecord>(&self, record: &R) -> Vec<u8> {
        frame(*self.contract.get(R::SUBJECT).expect("a registered record"), &record.encode())
    }

    /// Formats with made-up ids, in the order of the types.
    #[cfg(test)]
    pub fn of_test(types: &[EntityType]) -> Self {
        let format = |(id, t): (i32, &EntityType)| {
            (t.name().clone(), Format { id: SchemaId(id), encoder: Encoder::new(t.clone()) })
        };
        let contract = contract_schemas().map(|(subject, _)| (subject, SchemaId(1_000)));
        Self { entities: (1..).zip(types).map(format).collect(), contract: contract.into() }
    }
}

/// Also of what is only read, so that who writes it first finds it there.
fn contract_schemas() -> [(&'static str, &'static str); 5] {
    [
        (Delete::SUBJECT, Delete::json()),
        (Extent::SUBJECT, Extent::json()),
        (Lease::SUBJECT, Lease::json()),
        (Position::SUBJECT, Position::json()),
        (Directive::SUBJECT, Directive::json()),
    ]
}

impl Format {
    /// A framed entity.
    ///
    /// # Errors
    /// [`EncodeError`], which names the attribute.
    pub fn frame(&self, upsert: &Upsert<'_>) -> Result<Vec<u8>, EncodeError> {
        let mut payload = frame_header(self.id).to_vec();
        self.encoder.encode(upsert, &mut payload)?;
        Ok(payload)
    }
}
