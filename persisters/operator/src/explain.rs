//! `persister explain`: how records of a schema are read, and the statements that write them.

use crate::{OperatorError, Servers};
use plan::{ExplainedField, Layout, Plan, Statements};
use records::table::{Existing, reconcile};
use records::{Attribute, AttributeName, ColumnType, EntityType, TypeName};
use schemas::database::connect_one;
use schemas::tables::columns;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use wire::{Registry, SchemaId};

/// Which schema is meant.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// The newest of a type that a persister has met.
    Type(String),
    /// The one with this id in the registry.
    SchemaId(i32),
}

/// A schema with its plan and the statements of its table.
#[derive(Debug)]
pub(crate) struct Explained {
    entity: EntityType,
    schema_id: Option<i32>,
    pub layout: Arc<Layout>,
    /// How a record becomes columns.
    pub plan: Plan,
    fields: Vec<ExplainedField>,
    /// What would be done to the table before a record is applied.
    changes: Vec<String>,
    statements: Statements,
}

/// Explains a schema by the table that is there.
pub(crate) async fn explain(
    servers: &Servers,
    subject: Subject,
) -> Result<Explained, OperatorError> {
    let mut connection = connect_one(&servers.access.database).await?;
    let (id, json) = match subject {
        Subject::Type(name) => newest(&mut connection, &name).await?,
        Subject::SchemaId(id) => {
            (id, Registry::new(&servers.registry)?.schema(SchemaId(id)).await?.to_string())
        }
    };
    let entity = EntityType::parse(&json)
        .map_err(|error| OperatorError::Request(format!("schema id {id}: {error}")))?;
    explained(&mut connection, (Some(id), entity)).await
}

/// Explains a type by its table, if there is one.
pub(crate) async fn explained(
    connection: &mut PgConnection,
    (schema_id, entity): (Option<i32>, EntityType),
) -> Result<Explained, OperatorError> {
    let existing = columns(connection, entity.name()).await?;
    Explained::new(entity, schema_id, existing.as_deref())
}

/// Explains a file by the table that `schemas apply` would make of it.
pub(crate) fn explain_file(path: &Path) -> Result<Explained, OperatorError> {
    let failed = |why: String| OperatorError::Request(format!("{}: {why}", path.display()));
    let json = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let entity = EntityType::parse(&json).map_err(|error| failed(error.to_string()))?;
    Explained::new(entity, None, None)
}

async fn newest(connection: &mut PgConnection, name: &str) -> Result<(i32, String), OperatorError> {
    let schemas: Vec<(i32, String)> =
        sqlx::query_as("SELECT id, json FROM tributary.schema ORDER BY id DESC")
            .fetch_all(connection)
            .await?;
    let is_of_type = |(_, json): &(i32, String)| {
        EntityType::parse(json).is_ok_and(|entity| entity.name().as_str() == name)
    };
    schemas.into_iter().find(is_of_type).ok_or_else(|| {
        let message = format!(
            "no persister has met a record of type {name:?} yet; name its --schema-id or its --file"
        );
        OperatorError::Request(message)
    })
}

impl Explained {
    fn new(
        entity: EntityType,
        schema_id: Option<i32>,
        existing: Option<&[(String, String)]>,
    ) -> Result<Self, OperatorError> {
        let refused = |why: String| OperatorError::Request(why);
        let shown: Vec<String> =
            existing.unwrap_or_default().iter().map(|(name, _)| name.clone()).collect();
        let found = Existing { columns: existing, shown: &shown, detailed: &[] };
        let changes = reconcile(&entity, found).map_err(|refusal| refused(refusal.to_string()))?;
        let layout = Arc::new(layout(&entity, existing.unwrap_or_default()));
        let plan =
            Plan::compile(schema_id.unwrap_or_default(), &entity, &layout).map_err(refused)?;
        let statements = Statements::of(&layout);
        Ok(Self { fields: plan.explain(), plan, entity, schema_id, layout, changes, statements })
    }

    fn column<'a>(&'a self, field: &'a ExplainedField) -> (&'a str, &'a str) {
        let attribute = field.column.and_then(|column| self.layout.attributes.get(column));
        match (attribute, field.field.as_str()) {
            (Some((name, column)), _) => (name.as_str(), column.sql()),
            (None, "version") => ("version", "bigint"),
            (None, "update_mask") => ("-", "-"),
            (None, name) => (name, "text"),
        }
    }

    fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Statements { read, compare, same, insert, copy, update, overwrite, patch } =
            &self.statements;
        let all = [
            ("read", Some(read)),
            ("compare", Some(compare)),
            ("same", Some(same)),
            ("insert", Some(insert)),
            ("copy", copy.as_ref()),
            ("update", Some(update)),
            ("overwrite", Some(overwrite)),
            ("patch", Some(patch)),
        ];
        all.into_iter().filter_map(|(name, statement)| Some((name, statement?.as_str())))
    }

    /// For people.
    pub fn text(&self) -> String {
        let id = self.schema_id.map_or_else(String::new, |id| format!(", schema id {id}"));
        let mut text = format!("{}: {}{id}\n\n", self.entity.name(), self.entity.subject());
        let mut line = |[field, column, sql, null, how]: [&str; 5]| {
            writeln!(text, "{field:24}  {column:24}  {sql:24}  {null:4}  {how}")
                .expect("a String takes all");
        };
        line(["FIELD", "COLUMN", "TYPE", "NULL", "HOW"]);
        for field in &self.fields {
            let (column, sql) = self.column(field);
            let null = if field.nullable { "yes" } else { "no" };
            line([&field.field, column, sql, null, &field.how]);
        }
        for change in &self.changes {
            write!(text, "\n-- before: change the table\n{change};\n").expect("a String takes all");
        }
        for (name, statement) in self.parts() {
            write!(text, "\n-- {name}\n{statement};\n").expect("a String takes all");
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let field = |field: &ExplainedField| {
            let (column, sql) = self.column(field);
            json!({
                "field": field.field, "column": column, "type": sql,
                "nullable": field.nullable, "how": field.how,
            })
        };
        let statements: serde_json::Map<String, Value> =
            self.parts().map(|(name, sql)| (name.to_owned(), sql.into())).collect();
        json!({
            "type": self.entity.name().as_str(),
            "subject": self.entity.subject(),
            "schema_id": self.schema_id,
            "fields": self.fields.iter().map(field).collect::<Vec<_>>(),
            "changes": self.changes,
            "statements": statements,
        })
    }
}

/// The table's columns, and after them those that it would gain.
fn layout(entity: &EntityType, existing: &[(String, String)]) -> Layout {
    let known = existing.iter().filter_map(|(name, sql)| {
        let column = ColumnType::ALL.into_iter().find(|column| column.sql() == sql)?;
        Some((AttributeName::new(name).ok()?, column))
    });
    let is_new = |a: &&Attribute| existing.iter().all(|(name, _)| name != a.name.as_str());
    let new = entity.attributes().iter().filter(is_new).map(|a| (a.name.clone(), a.column));
    let entity_type: TypeName = entity.name().clone();
    Layout { entity_type, attributes: known.chain(new).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_schema_is_explained_by_the_table_that_it_would_have() {
        let entity = EntityType::parse(
            r#"{"type":"record","name":"Thing","fields":[
            {"name":"source","type":"string"},{"name":"native_id","type":"string"},
            {"name":"size","type":["null","int"]},{"name":"version","type":"long"},
            {"name":"seen","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
            {"name":"update_mask","type":["null",{"type":"array","items":"string"}]}]}"#,
        )
        .unwrap();
        let existing = [("seen".to_owned(), "timestamp with time zone".to_owned())];
        let explained = Explained::new(entity, Some(7), Some(&existing)).unwrap();
        let text = explained.text();
        let (shown, statements) = text.split_once("-- read").unwrap();
        expect![[r#"
            thing: Thing, schema id 7

            FIELD                     COLUMN                    TYPE                      NULL  HOW
            source                    source                    text                      no    text
            native_id                 native_id                 text                      no    text
            size                      size                      bigint                    yes   int of 32 bits, widened
            version                   version                   bigint                    no    long of 64 bits
            seen                      seen                      timestamp with time zone  yes   time, 1000 microseconds a unit
            update_mask               -                         -                         yes   array of texts

            -- before: change the table
            ALTER TABLE inventory_all."thing" ADD COLUMN "size" bigint;

            -- before: change the table
            CREATE OR REPLACE VIEW inventory."thing" AS
            SELECT source, native_id, version, to_timestamp(version / 1e6) AS observed_at, first_seen_at, changed_at, "seen", "size"
            FROM inventory_all."thing" WHERE alive AND base_version IS NOT NULL;

        "#]].assert_eq(shown);
        assert!(statements.contains("INSERT INTO inventory_all.\"thing\""), "{statements}");
        assert_eq!(explained.json()["fields"][2]["column"], "size");
    }
}
