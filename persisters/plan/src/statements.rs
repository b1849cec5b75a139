//! The statements of one entity type's table.

use crate::batch::Layout;
use crate::column::ElementType;
use crate::copy::has_binary_form;
use crate::fold::WORD_BITS;
use records::model::AttributeIndex;
use records::{AttributeName, ColumnType};

/// The registers that every row has, with the types of their parameters.
const REGISTERS: [(&str, &str); 8] = [
    ("version", "bigint[]"),
    ("existence_version", "bigint[]"),
    ("alive", "boolean[]"),
    ("floor_version", "bigint[]"),
    ("base_version", "bigint[]"),
    ("base_schema", "bigint[]"),
    ("exceptions", "text[]"),
    ("base_digest", "bigint[]"),
];

/// The oldest version of the records that become one row.
const OLDEST: (&str, &str) = ("oldest", "bigint[]");

/// The statements that read and write one table. Their parameters are arrays, one per column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    /// Registers of the rows with these keys: `ord`, `xmin`, the registers.
    pub read: String,
    /// The same, for whole records that are compared with the rows by their digests: rows that are
    /// alive, whole and equal, and of the given version if one is given, are left out; keys without
    /// a row have nulls. `is_void`: the row has no digest that holds.
    pub compare: String,
    /// Whole records whose values are those of their living rows: their numbers.
    pub same: String,
    /// New rows; what exists meanwhile is left alone.
    pub insert: String,
    /// New rows that are alive, as a binary stream; an existing one fails it. `None` if a column
    /// has no binary form here.
    pub copy: Option<String>,
    /// Rows whose `xmin` is still the one that was read.
    pub update: String,
    /// Rows that have seen nothing as new as what replaces all their values: the numbers of those
    /// that were written.
    pub overwrite: String,
    /// The same of rows of which some values are replaced.
    pub patch: String,
}

impl Statements {
    /// The statements of a table.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        let all: Vec<AttributeIndex> = (0..layout.attributes.len()).collect();
        Self {
            read: read(layout),
            compare: compare(layout),
            same: same(layout),
            insert: insert(layout),
            copy: copy(layout),
            update: update(layout, &all),
            overwrite: overwrite(layout),
            patch: patch(layout, &all),
        }
    }
}

/// The update of rows in which only some attributes are touched: the others are not sent. Its
/// parameters are those of [`Writes::update`](crate::Writes::update) for the same attributes.
#[must_use]
pub fn update(layout: &Layout, touched: &[AttributeIndex]) -> String {
    let sent = || touched.iter().map(|index| (*index, &layout.attributes[*index]));
    let columns: Vec<_> = keys()
        .into_iter()
        .chain([("xmin_read".to_owned(), "bigint[]")])
        .chain(registers())
        .chain(masks(layout))
        .chain(sent().map(|(_, attribute)| parameter(attribute)))
        .collect();
    let of_registers = REGISTERS.iter().map(|(name, _)| format!("{name} = {}", register(name)));
    let sets: Vec<String> = of_registers.chain(sent().map(set_if_touched)).collect();
    format!(
        "UPDATE {} AS t SET {},\n  base_xid = pg_current_xact_id()::xid,\n  \
         gone_at = CASE WHEN i.alive IS NOT FALSE THEN NULL \
         WHEN t.alive IS DISTINCT FROM i.alive THEN now() ELSE t.gone_at END,\n  \
         changed_at = CASE WHEN t.alive IS DISTINCT FROM i.alive \
         OR (t.base_version IS NULL) <> (i.base_version IS NULL){} \
         THEN now() ELSE t.changed_at END\n\
         FROM {}\n\
         WHERE t.source = i.source AND t.native_id = i.native_id \
         AND t.xmin::text::bigint = i.xmin_read",
        table(layout),
        sets.join(",\n  "),
        sent().map(changes_if_touched).collect::<String>(),
        unnest(&columns)
    )
}

/// Rows that have seen nothing as new as any of the records that are written to them. A row's floor
/// is never newer than its version.
const IS_OLDER: &str = "WHERE t.source = i.source AND t.native_id = i.native_id \
     AND t.version < i.oldest";

/// Its parameters are those of [`Overlays::overwrite`](crate::Overlays::overwrite). The row's base
/// and exceptions must be of attributes that are known here: a table may have been widened.
fn overwrite(layout: &Layout) -> String {
    let columns: Vec<_> = keys()
        .into_iter()
        .chain([(OLDEST.0.to_owned(), OLDEST.1)])
        .chain(registers())
        .chain(attributes(layout))
        .collect();
    let of_registers = REGISTERS.iter().map(|(name, _)| match *name {
        // The new life of a row that was dead under a newer extent begins there.
        "floor_version" => "floor_version = CASE WHEN t.alive IS FALSE \
             AND t.existence_version < i.floor_version \
             THEN greatest(t.floor_version, i.floor_version) ELSE t.floor_version END"
            .to_owned(),
        name => format!("{name} = {}", register(name)),
    });
    let of_attributes = layout
        .attributes
        .iter()
        .map(|(name, column)| format!("\"{name}\" = {}", incoming(name.as_str(), *column)));
    let sets: Vec<String> = of_registers.chain(of_attributes).collect();
    let names: Vec<String> =
        layout.attributes.iter().map(|(name, _)| format!("'{name}'")).collect();
    format!(
        "UPDATE {} AS t SET {},\n  base_xid = pg_current_xact_id()::xid, gone_at = NULL,\n  \
         changed_at = CASE WHEN t.alive IS NOT TRUE{} \
         THEN now() ELSE t.changed_at END\nFROM {}\n{IS_OLDER} \
         AND t.base_schema = i.base_schema \
         AND (t.exceptions IS NULL OR t.exceptions - ARRAY[{}]::text[] = '{{}}')\n\
         RETURNING i.ord",
        table(layout),
        sets.join(",\n  "),
        layout.attributes.iter().map(|a| format!("\n    OR {}", differs(a))).collect::<String>(),
        unnest(&columns),
        names.join(", ")
    )
}

/// The update of rows by records of which none is whole and which touch only some attributes. Its
/// parameters are those of [`Overlays::patch`](crate::Overlays::patch) for the same attributes.
#[must_use]
pub fn patch(layout: &Layout, touched: &[AttributeIndex]) -> String {
    let sent = || touched.iter().map(|index| (*index, &layout.attributes[*index]));
    let columns: Vec<_> = keys()
        .into_iter()
        .chain([(OLDEST.0.to_owned(), OLDEST.1)])
        .chain(registers().filter(|(name, _)| matches!(&**name, "version" | "exceptions")))
        .chain(masks(layout))
        .chain(sent().map(|(_, attribute)| parameter(attribute)))
        .collect();
    format!(
        "UPDATE {} AS t SET version = i.version,\n  \
         exceptions = coalesce(t.exceptions, '{{}}') || i.exceptions::jsonb{},\n  \
         changed_at = CASE WHEN false{} THEN now() ELSE t.changed_at END\nFROM {}\n{IS_OLDER}\n\
         RETURNING i.ord",
        table(layout),
        sent().map(|one| format!(",\n  {}", set_if_touched(one))).collect::<String>(),
        sent().map(changes_if_touched).collect::<String>(),
        unnest(&columns)
    )
}

fn table(layout: &Layout) -> String {
    format!("inventory_all.\"{}\"", layout.entity_type)
}

/// `unnest($1::text[], ...) AS i(source, ...)`: one row per element of the parameters.
fn unnest(columns: &[(String, &str)]) -> String {
    let parameters: Vec<String> =
        columns.iter().enumerate().map(|(i, (_, sql))| format!("${}::{sql}", i + 1)).collect();
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("unnest({}) WITH ORDINALITY AS i({}, \"ord\")", parameters.join(", "), names.join(", "))
}

fn keys() -> Vec<(String, &'static str)> {
    vec![("source".to_owned(), "text[]"), ("native_id".to_owned(), "text[]")]
}

fn registers() -> impl Iterator<Item = (String, &'static str)> {
    REGISTERS.iter().map(|(name, sql)| ((*name).to_owned(), *sql))
}

fn masks(layout: &Layout) -> impl Iterator<Item = (String, &'static str)> {
    let words = layout.attributes.len().div_ceil(WORD_BITS);
    (0..words).map(|word| (format!("touched_{word}"), "bigint[]"))
}

fn attributes(layout: &Layout) -> impl Iterator<Item = (String, &'static str)> + '_ {
    layout.attributes.iter().map(parameter)
}

fn parameter((name, column): &(AttributeName, ColumnType)) -> (String, &'static str) {
    (name.to_string(), ElementType::of(*column).array_sql)
}

/// An attribute's parameter as a value of its column.
fn incoming(name: &str, column: ColumnType) -> String {
    match column {
        ColumnType::Numeric | ColumnType::TextArray => format!("i.\"{name}\"::{}", column.sql()),
        _ => format!("i.\"{name}\""),
    }
}

fn register(name: &str) -> String {
    match name {
        "exceptions" => "i.exceptions::jsonb".to_owned(),
        "base_schema" => "i.base_schema::integer".to_owned(),
        name => format!("i.{name}"),
    }
}

const READ: &str = "SELECT i.ord, t.xmin::text::bigint AS xmin, t.existence_version, t.alive, \
     t.floor_version, t.base_version, t.base_schema, t.exceptions::text AS exceptions";

const ON_KEY: &str = "ON t.source = i.source AND t.native_id = i.native_id";

/// Somebody has written the row since its digest was made, or none could be made.
const IS_VOID: &str = "(t.base_digest IS NULL OR t.base_xid <> t.xmin) AS is_void";

fn read(layout: &Layout) -> String {
    format!(
        "{READ}, false AS is_void\nFROM {}\nJOIN {} AS t {ON_KEY}",
        unnest(&keys()),
        table(layout)
    )
}

fn compare(layout: &Layout) -> String {
    let compared = ["base_digest", "base_version"].map(|name| (name.to_owned(), "bigint[]"));
    let columns: Vec<_> = keys().into_iter().chain(compared).collect();
    format!(
        "{READ}, {IS_VOID}\nFROM {}\nLEFT JOIN {} AS t {ON_KEY}\n\
         WHERE (t.alive AND t.base_version IS NOT NULL \
         AND t.base_digest = i.base_digest AND t.base_xid = t.xmin \
         AND coalesce(i.base_version, t.base_version) = t.base_version) IS NOT TRUE",
        unnest(&columns),
        table(layout)
    )
}

/// Its parameters are those of [`Batch::values`](crate::Batch::values).
fn same(layout: &Layout) -> String {
    let columns: Vec<_> =
        keys().into_iter().chain(masks(layout)).chain(attributes(layout)).collect();
    let changes = layout.attributes.iter().enumerate().map(changes_if_touched);
    format!(
        "SELECT i.ord\nFROM {}\nJOIN {} AS t {ON_KEY}\n\
         WHERE t.alive AND t.base_version IS NOT NULL AND NOT (false{})",
        unnest(&columns),
        table(layout),
        changes.collect::<String>()
    )
}

fn insert(layout: &Layout) -> String {
    let columns: Vec<_> = keys().into_iter().chain(registers()).chain(attributes(layout)).collect();
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let of_registers = REGISTERS.iter().map(|(name, _)| register(name));
    let of_attributes = layout.attributes.iter().map(|(n, c)| incoming(n.as_str(), *c));
    let values: Vec<String> = of_registers.chain(of_attributes).collect();
    format!(
        "INSERT INTO {} (gone_at, {})\n\
         SELECT CASE WHEN NOT i.alive THEN now() END, i.source, i.native_id, {}\n\
         FROM {}\nORDER BY i.ord\nON CONFLICT DO NOTHING",
        table(layout),
        names.join(", "),
        values.join(", "),
        unnest(&columns)
    )
}

fn copy(layout: &Layout) -> Option<String> {
    if !layout.attributes.iter().all(|(_, column)| has_binary_form(*column)) {
        return None;
    }
    let columns = keys().into_iter().chain(registers()).chain(attributes(layout));
    let names: Vec<String> = columns.map(|(name, _)| format!("\"{name}\"")).collect();
    Some(format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table(layout), names.join(", ")))
}

fn is_touched(index: usize) -> String {
    format!("i.touched_{} & {} <> 0", index / WORD_BITS, 1_i64 << (index % WORD_BITS))
}

/// The values of an attribute differ.
fn differs((name, column): &(AttributeName, ColumnType)) -> String {
    format!("t.\"{name}\" IS DISTINCT FROM {}", incoming(name.as_str(), *column))
}

fn set_if_touched((index, (name, column)): (usize, &(AttributeName, ColumnType))) -> String {
    let new = incoming(name.as_str(), *column);
    format!("\"{name}\" = CASE WHEN {} THEN {new} ELSE t.\"{name}\" END", is_touched(index))
}

fn changes_if_touched((index, attribute): (usize, &(AttributeName, ColumnType))) -> String {
    format!("\n    OR {} AND {}", is_touched(index), differs(attribute))
}
