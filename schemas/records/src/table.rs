//! The table and the view that an entity type maps to, and how an older table becomes it.

use crate::{Attribute, ColumnType, EntityType, TypeName};
use apache_avro::Schema;

/// The columns of a table in their order, our own left out: what [`reconcile`] compares with.
/// Its parameter is the type's name; it gives name and type.
pub const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) \
     FROM pg_catalog.pg_attribute AS a \
     WHERE a.attrelid = to_regclass(format('inventory_all.%I', $1::text)) \
     AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL ($2) ORDER BY a.attnum";

/// The columns that every table has before the attributes.
pub const OWN_COLUMNS: [&str; 14] = [
    "source",
    "native_id",
    "version",
    "existence_version",
    "alive",
    "floor_version",
    "base_version",
    "base_schema",
    "base_xid",
    "base_digest",
    "exceptions",
    "first_seen_at",
    "changed_at",
    "gone_at",
];

/// The columns that every view has before the attributes.
const VIEW_COLUMNS: [&str; 6] =
    ["source", "native_id", "version", "observed_at", "first_seen_at", "changed_at"];

/// `base_digest` stands for the values of the row's last whole record, as long as `base_xid` is the
/// transaction that has written the row: any other write, also one by hand, makes it void.
const OWN_DEFINITIONS: &str = "    source text COLLATE \"C\" NOT NULL,
    native_id text COLLATE \"C\" NOT NULL,
    version bigint NOT NULL,
    existence_version bigint,
    alive boolean,
    floor_version bigint NOT NULL DEFAULT 0,
    base_version bigint,
    base_schema integer,
    base_xid xid DEFAULT pg_current_xact_id()::xid,
    base_digest bigint,
    exceptions jsonb,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    gone_at timestamptz";

/// Columns that can't become what the schema wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "table inventory_all.{table}: {}; a person can set the old columns aside under other names, \
     which drops nothing: {}",
    .reasons.join("; "),
    .statement
)]
pub struct Refusal {
    table: String,
    columns: Vec<String>,
    reasons: Vec<String>,
    statement: String,
}

impl Refusal {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What a person can run.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// The same with the views of others that show one of the columns.
    #[must_use]
    pub fn read_by(mut self, views: &[String]) -> Self {
        if !views.is_empty() {
            let views = views.join(", ");
            self.reasons.push(format!("the old columns stay what they are in {views}"));
        }
        self
    }
}

/// What there is of a type already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Existing<'a> {
    /// Name and type of the attribute columns of its table; `None`: there is no table.
    pub columns: Option<&'a [(String, String)]>,
    /// The columns of its view; none if there is no view.
    pub shown: &'a [String],
    /// The columns of its view `TYPE_detail`.
    pub detailed: &'a [String],
}

impl Existing<'_> {
    /// Whether our view can have a column of this name.
    fn has(&self, name: &str) -> bool {
        VIEW_COLUMNS.contains(&name) || self.found(name).is_some()
    }

    fn found(&self, name: &str) -> Option<&str> {
        let mut columns = self.columns.unwrap_or_default().iter();
        columns.find(|(column, _)| column == name).map(|(_, sql)| sql.as_str())
    }
}

/// The statements that make what exists one that can hold the entity type, its view included. None
/// if it can already.
///
/// # Errors
/// [`Refusal`], with the statement that a person would have to run.
pub fn reconcile(entity: &EntityType, existing: Existing<'_>) -> Result<Vec<String>, Refusal> {
    refuse(entity, existing)?;
    let has_view = !existing.shown.is_empty();
    let columns = existing.columns.unwrap_or_default();
    let mut names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let is_missing = |attribute: &&Attribute| existing.found(attribute.name.as_str()).is_none();
    let missing: Vec<&Attribute> = entity.attributes().iter().filter(is_missing).collect();
    names.extend(missing.iter().map(|attribute| attribute.name.as_str()));
    let mut statements: Vec<String> = match existing.columns {
        None => create(entity).into(),
        Some(_) => missing.iter().map(|attribute| add_column(entity, attribute)).collect(),
    };
    let is_new = |attribute: &&Attribute| {
        existing.shown.iter().all(|column| column != attribute.name.as_str())
    };
    let new: Vec<&Attribute> = entity.attributes().iter().filter(is_new).collect();
    // Rows need no view: one that a person has changed may stay until there is a column to add.
    let is_behind = !new.is_empty() && existing.shown.iter().all(|name| existing.has(name));
    if has_view && !is_behind && statements.is_empty() {
        return Ok(statements);
    }
    statements.push(view(entity, &names));
    if !has_view {
        statements.extend(view_comment(entity));
    }
    statements.extend(new.iter().filter_map(|attribute| column_comment(entity, attribute)));
    Ok(statements)
}

/// The view `TYPE_detail`: the columns of the type's view, the names of what is referenced, and
/// when the source was last seen. `references` are the attributes of all known versions of the
/// type, `named` the types whose views have a name; `existing` are the columns that the view has
/// already, whose order must stay. `None` if one of these is not known: then the view is newer.
#[must_use]
pub fn detail(
    entity_type: &TypeName,
    attributes: &[String],
    (references, named): (&[Attribute], &[TypeName]),
    existing: &[String],
) -> Option<String> {
    let own = VIEW_COLUMNS.into_iter().chain(attributes.iter().map(String::as_str));
    let mut columns: Vec<(String, String)> =
        own.map(|name| (name.to_owned(), format!("v.\"{name}\""))).collect();
    let mut joins = String::new();
    for (number, attribute) in (1..).zip(references) {
        let Some(name) = name_column(attribute) else { continue };
        if columns.iter().all(|(column, _)| *column != name)
            && let Some(value) = join(attribute, named, number, &mut joins)
        {
            columns.push((name, value));
        }
    }
    if columns.iter().all(|(column, _)| column != "source_seen_at") {
        columns.push(("source_seen_at".to_owned(), "s.seen_at".to_owned()));
    }
    let place = |name: &String| existing.iter().position(|column| column == name);
    columns.sort_by_key(|(name, _)| place(name).unwrap_or(existing.len()));
    let known = columns.iter().take_while(|(name, _)| place(name).is_some()).count();
    if known < existing.len() {
        return None;
    }
    let columns: Vec<_> =
        columns.iter().map(|(name, value)| format!("{value} AS \"{name}\"")).collect();
    Some(format!(
        "CREATE OR REPLACE VIEW inventory.\"{0}_detail\" AS\nSELECT {1}\n\
         FROM inventory.\"{0}\" AS v{joins}\n\
         LEFT JOIN tributary.source AS s ON s.source = v.source",
        entity_type,
        columns.join(", ")
    ))
}

/// `host_name` for a single reference `host_ref`.
fn name_column(attribute: &Attribute) -> Option<String> {
    let single = attribute.column == ColumnType::Text && !attribute.references.is_empty();
    let stem = attribute.name.as_str().strip_suffix("_ref").filter(|_| single)?;
    Some(format!("{stem}_name"))
}

/// The name behind a reference, and the joins that it needs; `None` if nothing there has a name.
fn join(
    attribute: &Attribute,
    named: &[TypeName],
    number: usize,
    joins: &mut String,
) -> Option<String> {
    let targets = attribute.references.iter().filter(|target| named.contains(target));
    let mut names = Vec::new();
    for (choice, target) in (1..).zip(targets) {
        let alias = format!("r{number}_{choice}");
        joins.push_str(&format!(
            "\nLEFT JOIN inventory.\"{target}\" AS {alias} ON {alias}.source = v.source \
             AND {alias}.native_id = v.\"{}\"",
            attribute.name
        ));
        names.push(format!("{alias}.\"name\"::text"));
    }
    match names.as_slice() {
        [] => None,
        [name] => Some(name.clone()),
        names => Some(format!("coalesce({})", names.join(", "))),
    }
}

/// The view of references whose targets are not there (any more): of every type, by the columns
/// that its table has. `tables` are the types that have a table; the others are no targets yet.
#[must_use]
pub fn dangling(types: &[(&EntityType, Vec<String>)], tables: &[TypeName]) -> String {
    let of_type = |(entity, columns): &(&EntityType, Vec<String>)| -> Vec<String> {
        let attributes = entity.attributes().iter();
        let references = attributes
            .filter(|a| !a.references.is_empty() && columns.iter().any(|c| c == a.name.as_str()));
        references.filter_map(|attribute| dangling_of(entity, attribute, tables)).collect()
    };
    let mut selects: Vec<String> = types.iter().flat_map(of_type).collect();
    if selects.is_empty() {
        selects.push(NO_REFERENCES.to_owned());
    }
    let selects = selects.join("\nUNION ALL\n");
    format!("CREATE OR REPLACE VIEW inventory.dangling_references AS\n{selects}")
}

/// As the first of the selects, which says what the columns are.
const NO_REFERENCES: &str = "SELECT ''::text COLLATE \"C\" AS source, ''::text AS type, \
     ''::text COLLATE \"C\" AS native_id, ''::text AS attribute, '{}'::text[] AS target_types, \
     ''::text AS target_id, now() AS since WHERE false";

/// The dangling references of one attribute; `None` if it holds no native ids as text.
fn dangling_of(entity: &EntityType, attribute: &Attribute, tables: &[TypeName]) -> Option<String> {
    let column = format!("v.\"{}\"", attribute.name);
    let (target_id, each) = match attribute.column {
        ColumnType::Text => (column, String::new()),
        ColumnType::TextArray => {
            ("e.id".to_owned(), format!("\nCROSS JOIN LATERAL unnest({column}) AS e(id)"))
        }
        _ => return None,
    };
    let (mut joins, mut gone, mut is_there) = (String::new(), String::new(), String::new());
    let targets = attribute.references.iter().filter(|target| tables.contains(target));
    for (target, number) in targets.zip(1..) {
        joins += &format!(
            "\nLEFT JOIN inventory_all.\"{target}\" AS t{number} ON t{number}.source = v.source \
             AND t{number}.native_id = {target_id}"
        );
        gone += &format!(", t{number}.gone_at");
        is_there += &format!(
            "\n    AND (t{number}.alive AND t{number}.base_version IS NOT NULL) IS NOT TRUE"
        );
    }
    let types: Vec<String> = attribute.references.iter().map(|t| literal(t.as_str())).collect();
    Some(format!(
        "SELECT v.source, {}::text AS type, v.native_id, {}::text AS attribute, \
         ARRAY[{}]::text[] AS target_types, {target_id} AS target_id, \
         greatest(v.changed_at{gone}) AS since\n\
         FROM inventory.\"{}\" AS v{each}{joins}\nWHERE {target_id} IS NOT NULL{is_there}",
        literal(entity.name().as_str()),
        literal(attribute.name.as_str()),
        types.join(", "),
        entity.name(),
    ))
}

/// The table, and the index by which its tombstones are found when they may go. That index does
/// not hinder HOT updates of living rows: only one that changes `alive` must write it.
fn create(entity: &EntityType) -> [String; 2] {
    let attributes: String = entity
        .attributes()
        .iter()
        .map(|a| format!(",\n    \"{}\" {}", a.name, a.column.sql()))
        .collect();
    let name = entity.name();
    let table = format!(
        "CREATE TABLE inventory_all.\"{name}\" (\n{OWN_DEFINITIONS}{attributes},\n    \
         PRIMARY KEY (source, native_id)\n) WITH (fillfactor = 85)"
    );
    let index = format!(
        "CREATE INDEX \"{name}_tombstones\" ON inventory_all.\"{name}\" (source, native_id) \
         WHERE NOT alive"
    );
    [table, index]
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

fn view_comment(entity: &EntityType) -> Option<String> {
    let Schema::Record(record) = entity.schema() else { return None };
    let doc = record.doc.as_deref()?;
    Some(format!("COMMENT ON VIEW inventory.\"{}\" IS {}", entity.name(), literal(doc)))
}

fn column_comment(entity: &EntityType, attribute: &Attribute) -> Option<String> {
    let (name, doc) = (&attribute.name, attribute.doc.as_deref()?);
    let comment = literal(doc);
    Some(format!("COMMENT ON COLUMN inventory.\"{}\".\"{name}\" IS {comment}", entity.name()))
}

/// An SQL text constant; it has no NUL, which PostgreSQL could not hold.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// In one transaction, because records of an older version would make the column again.
fn refuse(entity: &EntityType, existing: Existing<'_>) -> Result<(), Refusal> {
    let name = entity.name();
    let (mut columns, mut reasons, mut statements) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in entity.attributes() {
        let (column, wanted) = (attribute.name.as_str(), attribute.column.sql());
        let Some(found) = existing.found(column).filter(|found| *found != wanted) else {
            continue;
        };
        reasons.push(format!("column {column} is {found}, the schema wants {wanted}"));
        let aside = aside(entity, (column, found), existing);
        let rename = format!("RENAME COLUMN \"{column}\" TO \"{aside}\"");
        statements.push(format!("ALTER TABLE inventory_all.\"{name}\" {rename}"));
        statements.push(add_column(entity, attribute));
        for (view, shown) in [("", existing.shown), ("_detail", existing.detailed)] {
            if shown.iter().any(|name| name == column) {
                statements.push(format!("ALTER VIEW inventory.\"{name}{view}\" {rename}"));
            }
        }
        columns.push(column.to_owned());
    }
    if columns.is_empty() {
        return Ok(());
    }
    let statement = format!("BEGIN; {}; COMMIT", statements.join("; "));
    Err(Refusal { table: name.to_string(), columns, reasons, statement })
}

/// A free name that tells what the column was: `size_bigint`.
fn aside(entity: &EntityType, (column, found): (&str, &str), existing: Existing<'_>) -> String {
    let kind = found.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let numbered = |number: usize| match number {
        1 => format!("{column}_{kind}"),
        _ => format!("{column}_{kind}_{number}"),
    };
    let is_free = |name: &String| {
        let mut shown = existing.shown.iter().chain(existing.detailed);
        let mut attributes = entity.attributes().iter();
        existing.found(name).is_none()
            && shown.all(|column| column != name)
            && attributes.all(|attribute| attribute.name.as_str() != name)
    };
    (1..).map(numbered).find(is_free).expect("there are more numbers than columns")
}

#[cfg(test)]
mod tests;
