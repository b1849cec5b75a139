//! The table and the view that an entity type maps to, and how an older table becomes it.

use crate::{Attribute, EntityType};

/// The columns of a table in their order, our own left out: what [`reconcile`] compares with.
/// Its parameter is the type's name; it gives name and type.
pub const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) \
     FROM pg_catalog.pg_attribute AS a \
     WHERE a.attrelid = to_regclass(format('inventory_all.%I', $1::text)) \
     AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL ($2) ORDER BY a.attnum";

/// The columns that every table has before the attributes.
pub const OWN_COLUMNS: [&str; 12] = [
    "source",
    "native_id",
    "version",
    "existence_version",
    "alive",
    "floor_version",
    "base_version",
    "base_schema",
    "exceptions",
    "first_seen_at",
    "changed_at",
    "gone_at",
];

const OWN_DEFINITIONS: &str = "    source text COLLATE \"C\" NOT NULL,
    native_id text COLLATE \"C\" NOT NULL,
    version bigint NOT NULL,
    existence_version bigint,
    alive boolean,
    floor_version bigint NOT NULL DEFAULT 0,
    base_version bigint,
    base_schema integer,
    exceptions jsonb,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    gone_at timestamptz";

/// A column that can't become what the schema wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "table inventory_all.{table}: column {column} is {found}, the schema wants {wanted}; a person \
     who knows what reads it can run: {statement}"
)]
pub struct Refusal {
    table: String,
    column: String,
    found: String,
    wanted: &'static str,
    statement: String,
}

/// The statements that make a table of `existing` attribute columns (name and type; none if there
/// is no table) one that can hold the entity type, its view included. None if it can already.
///
/// # Errors
/// [`Refusal`], with the statement that a person would have to run.
pub fn reconcile(
    entity: &EntityType,
    existing: Option<&[(String, String)]>,
) -> Result<Vec<String>, Refusal> {
    let Some(existing) = existing else {
        let all: Vec<&str> = entity.attributes().iter().map(|a| a.name.as_str()).collect();
        return Ok(vec![create(entity), view(entity, &all)]);
    };
    let mut names: Vec<&str> = existing.iter().map(|(name, _)| name.as_str()).collect();
    let mut statements = Vec::new();
    for attribute in entity.attributes() {
        match existing.iter().find(|(name, _)| name == attribute.name.as_str()) {
            Some((_, found)) if found != attribute.column.sql() => {
                return Err(refusal(entity, attribute, found));
            }
            Some(_) => {}
            None => {
                names.push(attribute.name.as_str());
                statements.push(add_column(entity, attribute));
            }
        }
    }
    if !statements.is_empty() {
        statements.push(view(entity, &names));
    }
    Ok(statements)
}

fn create(entity: &EntityType) -> String {
    let attributes: String = entity
        .attributes()
        .iter()
        .map(|a| format!(",\n    \"{}\" {}", a.name, a.column.sql()))
        .collect();
    format!(
        "CREATE TABLE inventory_all.\"{}\" (\n{OWN_DEFINITIONS}{attributes},\n    \
         PRIMARY KEY (source, native_id)\n) WITH (fillfactor = 85)",
        entity.name()
    )
}

fn add_column(entity: &EntityType, attribute: &Attribute) -> String {
    format!(
        "ALTER TABLE inventory_all.\"{}\" ADD COLUMN \"{}\" {}",
        entity.name(),
        attribute.name,
        attribute.column.sql()
    )
}

fn view(entity: &EntityType, attributes: &[&str]) -> String {
    let attributes: String = attributes.iter().map(|name| format!(", \"{name}\"")).collect();
    format!(
        "CREATE OR REPLACE VIEW inventory.\"{0}\" AS\nSELECT source, native_id, version, \
         to_timestamp(version / 1e6) AS observed_at, first_seen_at, changed_at{attributes}\n\
         FROM inventory_all.\"{0}\" WHERE alive AND base_version IS NOT NULL",
        entity.name()
    )
}

fn refusal(entity: &EntityType, attribute: &Attribute, found: &str) -> Refusal {
    let (table, column) = (entity.name().to_string(), attribute.name.to_string());
    let wanted = attribute.column.sql();
    let statement = format!(
        "DROP VIEW inventory.\"{table}\" CASCADE; ALTER TABLE inventory_all.\"{table}\" ALTER \
         COLUMN \"{column}\" TYPE {wanted} USING \"{column}\"::{wanted}"
    );
    Refusal { table, column, found: found.to_owned(), wanted, statement }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn thing(attributes: &str) -> EntityType {
        EntityType::parse(&format!(
            r#"{{"type":"record","name":"Thing","fields":[
            {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
            {{"name":"version","type":"long"}},
            {{"name":"update_mask","type":["null",{{"type":"array","items":"string"}}]}}
            {attributes}]}}"#
        ))
        .unwrap()
    }

    const NAME: &str = r#",{"name":"name","type":["null","string"]}"#;

    #[test]
    fn a_new_type_gets_a_table_and_a_view() {
        let statements = reconcile(&thing(NAME), None).unwrap().join(";\n");
        expect![[r#"
            CREATE TABLE inventory_all."thing" (
                source text COLLATE "C" NOT NULL,
                native_id text COLLATE "C" NOT NULL,
                version bigint NOT NULL,
                existence_version bigint,
                alive boolean,
                floor_version bigint NOT NULL DEFAULT 0,
                base_version bigint,
                base_schema integer,
                exceptions jsonb,
                first_seen_at timestamptz NOT NULL DEFAULT now(),
                changed_at timestamptz NOT NULL DEFAULT now(),
                gone_at timestamptz,
                "name" text,
                PRIMARY KEY (source, native_id)
            ) WITH (fillfactor = 85);
            CREATE OR REPLACE VIEW inventory."thing" AS
            SELECT source, native_id, version, to_timestamp(version / 1e6) AS observed_at, first_seen_at, changed_at, "name"
            FROM inventory_all."thing" WHERE alive AND base_version IS NOT NULL"#]]
        .assert_eq(&statements);
    }

    #[test]
    fn a_table_only_gains_columns() {
        let old = [("gone".to_owned(), "text".to_owned()), ("name".to_owned(), "text".to_owned())];
        assert!(reconcile(&thing(NAME), Some(&old)).unwrap().is_empty());
        let wider = thing(&format!(r#"{NAME},{{"name":"size","type":["null","int"]}}"#));
        let statements = reconcile(&wider, Some(&old)).unwrap();
        assert!(statements[0].contains("ADD COLUMN \"size\" bigint"), "{statements:?}");
        assert!(statements[1].contains("\"gone\", \"name\", \"size\""), "{statements:?}");
    }

    #[test]
    fn another_type_is_refused_with_the_statement() {
        let old = [("name".to_owned(), "bigint".to_owned())];
        let refusal = reconcile(&thing(NAME), Some(&old)).unwrap_err().to_string();
        assert!(refusal.contains("ALTER COLUMN \"name\" TYPE text"), "{refusal}");
    }
}
