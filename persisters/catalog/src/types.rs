//! What schema ids mean: found out at the first record, remembered in `tributary.schema`.

use crate::error::CatalogError;
use crate::remembered::{first_of_table, is_same, recall, remember};
use crate::waiting::{Readiness, Waiting};
use apache_avro::Schema;
use inventory::NewKeys;
use inventory::Sets;
use plan::{Layout, Plan, Statements};
use records::contract::{ContractRecord, Delete, Extent};
use records::model::AttributeSet;
use records::rejection::Class;
use records::{AttributeName, ColumnType, EntityType, TypeName};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Incoming, Registry, RegistryError, SchemaId};

/// How long it is believed that the registry has no schema under an id: not longer, because a
/// replica of the registry may know it a little later, and not shorter, because a flood of records
/// must not become a flood of questions.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the records with one schema id are.
#[derive(Debug, Clone)]
pub enum Meaning {
    /// Entities of a type.
    Entity(TypeName, Arc<Plan>),
    /// Deletes, under their writer's schema.
    Delete(Arc<Schema>),
    /// Extents, under their writer's schema.
    Extent(Arc<Schema>),
    /// What happened at a time, under its writer's schema.
    History(history::Kind, Arc<Schema>),
    /// Entities of a type whose table is not ready.
    Waiting(Arc<Waiting>),
    /// Nothing that can be applied: class and reason.
    Refused(Class, String),
}

/// A type's table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its attributes.
    pub layout: Arc<Layout>,
    /// Its statements.
    pub statements: Arc<Statements>,
    /// The attribute sets that its rows' bases may refer to.
    pub sets: Arc<Sets>,
    /// What is expected of the next batch.
    pub new_keys: Arc<NewKeys>,
}

/// What is known of schema ids and types.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// And when the registry was asked.
    meanings: BTreeMap<i32, (Meaning, Instant)>,
    tables: HashMap<TypeName, Table>,
}

/// The types that this process has met.
#[derive(Debug)]
pub struct Types {
    registry: Registry,
    known: Arc<Known>,
}

impl Known {
    /// The table of a type that was met here.
    #[must_use]
    pub fn table(&self, entity_type: &TypeName) -> Option<&Table> {
        self.tables.get(entity_type)
    }

    /// The meaning of a schema id that was [looked up](Types::look_up).
    #[must_use]
    pub fn meaning(&self, id: SchemaId) -> Option<&Meaning> {
        self.meanings.get(&id.0).map(|(meaning, _)| meaning)
    }

    /// Whether the schema ids of all these records were looked up.
    #[must_use]
    pub fn has_all(&self, records: &[Incoming]) -> bool {
        ids(records).all(|id| self.has(id))
    }

    fn has(&self, id: SchemaId) -> bool {
        self.meanings.get(&id.0).is_some_and(|(meaning, asked)| match meaning {
            Meaning::Refused(Class::UnknownSchema, _) => asked.elapsed() < ASK_AGAIN_AFTER,
            _ => true,
        })
    }
}

/// The schema ids of those records that have one; one that follows itself is told once.
fn ids(records: &[Incoming]) -> impl Iterator<Item = SchemaId> {
    let payloads = records.iter().filter_map(|record| record.payload.as_deref());
    let mut last = None;
    payloads.filter_map(move |payload| {
        let id = wire::unframe(payload).ok()?.0;
        (last.replace(id) != Some(id)).then_some(id)
    })
}

impl Types {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, known: Arc::default() }
    }

    /// Forgets everything: after any loss of a connection the tables may be others.
    pub fn forget(&mut self) {
        self.known = Arc::default();
    }

    /// What is known now; another one as soon as that changes.
    #[must_use]
    pub const fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// [Looks up](Self::look_up) the schema ids of records.
    ///
    /// # Errors
    /// What a later try may heal.
    pub async fn look_up_all(
        &mut self,
        connection: &mut PgConnection,
        records: &[Incoming],
    ) -> Result<(), CatalogError> {
        let ids: HashSet<SchemaId> = ids(records).collect();
        for id in ids {
            self.look_up(connection, id).await?;
        }
        Ok(())
    }

    /// Finds out what a schema id means, and makes or widens its table.
    ///
    /// # Errors
    /// What a later try may heal; what it can't is [`Meaning::Refused`].
    pub async fn look_up(
        &mut self,
        connection: &mut PgConnection,
        id: SchemaId,
    ) -> Result<(), CatalogError> {
        if self.known.has(id) {
            return Ok(());
        }
        let known = recall(connection, id).await?;
        let meaning = match (self.registry.schema(id).await, known) {
            (Ok(json), Some(known)) if !is_same(&json, &known) => {
                return Err(CatalogError::OtherRegistry(id.0));
            }
            (Ok(json), _) => self.parse(connection, id, &json).await?,
            (Err(error @ RegistryError::NoSchema { .. }), None) => {
                Meaning::Refused(Class::UnknownSchema, error.to_string())
            }
            // That is just what its records were written with.
            (Err(error @ RegistryError::NoSchema { .. }), Some(known)) => {
                tracing::warn!(
                    id = id.0,
                    "the registry has lost a schema; its records are read by what \
                     tributary.schema has of it; restore the registry before producers get its \
                     ids for other schemas: {error}"
                );
                self.registry.keep(id, &known);
                self.parse(connection, id, &known).await?
            }
            (Err(error), _) => return Err(error.into()),
        };
        Arc::make_mut(&mut self.known).meanings.insert(id.0, (meaning, Instant::now()));
        Ok(())
    }

    /// Gets the tables of types of which only deletes were met here: others may have made them, or
    /// this member before it forgot. Gives whether there is one.
    ///
    /// # Errors
    /// What a later try may heal.
    pub async fn meet(
        &mut self,
        connection: &mut PgConnection,
        types: &BTreeSet<TypeName>,
    ) -> Result<bool, CatalogError> {
        let mut is_any = false;
        for entity_type in types {
            let Some(entity) = first_of_table(connection, entity_type).await? else { continue };
            let Some(table) = load(connection, &entity).await? else { continue };
            Arc::make_mut(&mut self.known).tables.insert(entity_type.clone(), table);
            is_any = true;
        }
        Ok(is_any)
    }

    async fn parse(
        &mut self,
        connection: &mut PgConnection,
        id: SchemaId,
        json: &str,
    ) -> Result<Meaning, CatalogError> {
        match Schema::parse_str(json) {
            Err(error) => {
                let reason =
                    format!("what the registry has of id {} is no Avro schema: {error}", id.0);
                Ok(Meaning::Refused(Class::InvalidSchema, reason))
            }
            Ok(schema) => self.understand(connection, id, (schema, json)).await,
        }
    }

    async fn understand(
        &mut self,
        connection: &mut PgConnection,
        id: SchemaId,
        (schema, json): (Schema, &str),
    ) -> Result<Meaning, CatalogError> {
        let name = schema.name().map(|name| name.fullname(None)).unwrap_or_default();
        if let Some(meaning) = of_contract(&name, &schema) {
            remember(connection, id, (&name, json), None).await?;
            return Ok(meaning);
        }
        let entity = match EntityType::of_schema(schema, json) {
            Ok(entity) => entity,
            Err(error) => return Ok(Meaning::Refused(Class::UnknownRecordType, error.to_string())),
        };
        if let Some(first) = remember(connection, id, (&name, json), Some(&entity)).await? {
            return Ok(Meaning::Refused(Class::UnknownRecordType, taken(&entity, &first)));
        }
        match Readiness::reach(connection, id, &entity).await? {
            Readiness::Ready(changes) => {
                for change in changes {
                    tracing::info!(entity_type = %entity.name(), "table changed: {change}");
                }
            }
            Readiness::Waits(error) => {
                return Ok(Meaning::Waiting(Arc::new(Waiting::new(entity.name(), id, &error))));
            }
            Readiness::LeftBehind(refusal) => {
                return Ok(Meaning::Refused(Class::Table, refusal.to_string()));
            }
            Readiness::GivenUp(error) => {
                let reason = format!("schema id {} was given up by a person: {error}", id.0);
                return Ok(Meaning::Refused(Class::Table, reason));
            }
        }
        let changed = || CatalogError::TableChanged(entity.name().to_string());
        let table = load(connection, &entity).await?.ok_or_else(changed)?;
        let plan = Plan::compile(id.0, &entity, &table.layout).map_err(|_| changed())?;
        // Plans of other versions know their columns by number.
        let known = self.known.table(entity.name()).map(|known| known.layout.attributes.as_slice());
        if !table.layout.attributes.starts_with(known.unwrap_or_default()) {
            return Err(changed());
        }
        Arc::make_mut(&mut self.known).tables.insert(entity.name().clone(), table);
        Ok(Meaning::Entity(entity.name().clone(), Arc::new(plan)))
    }
}

/// What a record of the contract is.
fn of_contract(name: &str, schema: &Schema) -> Option<Meaning> {
    let schema = || Arc::new(schema.clone());
    match name {
        Delete::SUBJECT => Some(Meaning::Delete(schema())),
        Extent::SUBJECT => Some(Meaning::Extent(schema())),
        _ => history::Kind::of_subject(name).map(|kind| Meaning::History(kind, schema())),
    }
}

fn taken(entity: &EntityType, first: &str) -> String {
    format!(
        "record {} wants the table {}, which is that of {first}; rename the record",
        entity.subject(),
        entity.name()
    )
}

/// The table of a type, if there is one.
async fn load(
    connection: &mut PgConnection,
    entity: &EntityType,
) -> Result<Option<Table>, CatalogError> {
    let Some(columns) = schemas::tables::columns(connection, entity.name()).await? else {
        return Ok(None);
    };
    let attributes = columns
        .into_iter()
        .filter_map(|(name, sql)| Some((AttributeName::new(name).ok()?, column_type(&sql)?)))
        .collect();
    let layout = Arc::new(Layout { entity_type: entity.name().clone(), attributes });
    let mut sets = Sets::new();
    for (id, json) in inventory::base_schemas(connection, entity.subject()).await? {
        let known = EntityType::parse(&json)
            .map_err(|error| CatalogError::Schema(id, error.to_string()))?;
        let indexes = known.attributes().iter().map(|a| layout.index_of(a.name.as_str()));
        // A schema is remembered before the table is widened for it. No row can have it yet.
        if let Some(mut indexes) = indexes.collect::<Option<Vec<usize>>>() {
            indexes.sort_unstable();
            sets.insert(id, Arc::new(AttributeSet { schema: id, indexes }));
        }
    }
    let statements = Arc::new(Statements::of(&layout));
    Ok(Some(Table { layout, statements, sets: Arc::new(sets), new_keys: Arc::default() }))
}

fn column_type(sql: &str) -> Option<ColumnType> {
    ColumnType::ALL.into_iter().find(|column| column.sql() == sql)
}
