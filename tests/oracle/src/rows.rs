//! The rows that PostgreSQL has, compared with the model's.

use crate::history::{Object, Objects};
use crate::kinds::{KINDS, Kinds, NAMES};
use crate::replay::{Done, Replay, shown};
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// How the tables and views of a run differ from the model, given what was committed, and from what
/// is true.
pub async fn difference(
    connection: &mut PgConnection,
    kinds: &Kinds,
    (run, log): (&str, &[Done]),
    truth: Option<&Objects>,
) -> Option<String> {
    let replay = match Replay::of(kinds, log) {
        Ok(replay) => replay,
        Err(difference) => return Some(difference),
    };
    let found = read(connection, kinds, "inventory_all", run).await;
    let table = found.iter().map(|(object, row)| (*object, registers(row))).collect();
    if let Some(text) = differs("the table", &table, &replay.table()) {
        return Some(text);
    }
    let view = replay.view();
    if let Some(truth) = truth.filter(|truth| **truth != view) {
        return Some(format!("the model has {view:?}, the naive one {truth:?}"));
    }
    difference_of_views(connection, kinds, run, &view).await
}

/// How the views of a run differ from what they must show, in whatever order it was committed.
pub async fn difference_of_views(
    connection: &mut PgConnection,
    kinds: &Kinds,
    run: &str,
    wanted: &Objects,
) -> Option<String> {
    let found = read(connection, kinds, "inventory", run).await;
    let found = found.iter().map(|(object, row)| (*object, values(row))).collect();
    let wanted = wanted.iter().map(|(object, values)| (*object, shown(values))).collect();
    differs("the view", &found, &wanted)
}

fn differs(
    what: &str,
    found: &BTreeMap<Object, Json>,
    wanted: &BTreeMap<Object, Json>,
) -> Option<String> {
    let mut objects = found.keys().chain(wanted.keys());
    let object = objects.find(|object| found.get(object) != wanted.get(object))?;
    let text = |row: Option<&Json>| row.map_or("no row".to_owned(), ToString::to_string);
    let (found, wanted) = (text(found.get(object)), text(wanted.get(object)));
    Some(format!("{what} has of {object}\n    {found}\nand the model\n    {wanted}"))
}

/// The rows of a run in a schema's tables or views.
///
/// # Panics
/// If PostgreSQL fails.
pub async fn read(
    connection: &mut PgConnection,
    kinds: &Kinds,
    schema: &str,
    run: &str,
) -> BTreeMap<Object, Json> {
    let mut all = BTreeMap::new();
    for kind in 0..KINDS {
        let name = kinds.name(kind);
        if schemas::tables::columns(connection, name).await.unwrap().is_none() {
            continue;
        }
        let rows = format!(
            "SELECT source, native_id, to_jsonb(t) FROM {schema}.\"{name}\" AS t \
             WHERE source LIKE $1"
        );
        let rows: Vec<(String, String, Json)> = sqlx::query_as(AssertSqlSafe(rows))
            .bind(format!("{run}.%"))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let objects = rows.into_iter();
        all.extend(objects.map(|(source, id, row)| (Object::of_row(kind, &source, &id), row)));
    }
    all
}

/// The registers of a row of the table, in the form of the model's.
fn registers(row: &Json) -> Json {
    json!({
        "version": row["version"],
        "existence_version": row["existence_version"],
        "alive": row["alive"],
        "floor_version": row["floor_version"],
        "base_version": row["base_version"],
        "base_schema": row["base_schema"],
        "exceptions": row["exceptions"],
        "is_gone": !row["gone_at"].is_null(),
        "values": values(row),
    })
}

/// A column that no record has needed yet shows as null.
#[must_use]
pub fn values(row: &Json) -> Json {
    Json::Object(NAMES.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect())
}
