//! A listing under the licence, after somebody has changed rows by hand.

use crate::member::{Member, Race};
use oracle::history::{KeyRange, Object, Objects, Place, Record, Target};
use oracle::kinds::{KINDS, Kinds, NAMES, WIDTHS};
use oracle::random::Random;
use oracle::replay::shown;
use oracle::rows::{read, values};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Newer than every history.
const LISTING: i64 = 1000;

/// What a person may write into the attributes, in their order: no record does.
const BY_HAND: [&str; NAMES.len()] = ["'by hand'", "-7", "'{by,hand}'", r#"'{"by": "hand"}'"#];

/// Changes some rows of a run by hand, lists what is true, and tells what then differs from it or
/// was written without need.
pub async fn differs(
    member: &mut Member,
    (kinds, run): (&Kinds, &str),
    truth: &Objects,
    random: &mut Random,
) -> Option<String> {
    let changed: BTreeSet<Object> = truth.keys().filter(|_| random.once_in(3)).copied().collect();
    for object in &changed {
        change(&mut member.connection, (kinds, run), object, random).await;
    }
    let before = written(&mut member.connection, (kinds, run)).await;
    // Without extents: the upserts alone must mend what they are about.
    let mut records = listing(truth, LISTING);
    if random.once_in(2) {
        records.truncate(truth.len());
    }
    list(member, (kinds, run), &records).await;
    let after = written(&mut member.connection, (kinds, run)).await;
    let view = read(&mut member.connection, kinds, "inventory", run).await;
    for (object, wanted) in truth {
        let found = view.get(object).map(values);
        if found != Some(shown(wanted)) {
            return Some(format!("{object} is {found:?}, not {wanted:?}"));
        }
        if (before.get(object) == after.get(object)) == changed.contains(object) {
            return Some(format!("{object}: {changed:?} were changed by hand, written others"));
        }
    }
    (view.len() != truth.len()).then(|| format!("{view:?} is not {truth:?}"))
}

async fn list(member: &mut Member, (kinds, run): (&Kinds, &str), records: &[Record]) {
    let fetched: Vec<_> = records.iter().map(|record| kinds.incoming(record, run)).collect();
    member.licensed = true;
    member.records((&Race::default(), 0), (records, &fetched)).await;
    member.licensed = false;
}

/// Whole objects and an extent for every type of every source.
fn listing(truth: &Objects, version: i64) -> Vec<Record> {
    let wholes = truth.iter().map(|(object, values)| Record::Whole {
        object: *object,
        version,
        schema: WIDTHS.len() - 1,
        values: values.to_vec(),
    });
    let places: BTreeSet<Place> = truth.keys().map(|object| object.place).collect();
    let extents = places.into_iter().map(|place| Record::Extent {
        target: Target::Type(place),
        range: KeyRange::ALL,
        version,
        keys: truth.keys().filter(|o| o.place == place).map(|o| o.key).collect(),
    });
    wholes.chain(extents).collect()
}

/// A value is changed, the row is said to be dead, or it is deleted.
async fn change(
    connection: &mut PgConnection,
    (kinds, run): (&Kinds, &str),
    object: &Object,
    random: &mut Random,
) {
    let table = format!("inventory_all.\"{}\"", kinds.name(object.place.kind));
    let by_hand = |index: usize| format!("\"{}\" = {}", NAMES[index], BY_HAND[index]);
    let statement = match random.below(6) {
        0 => format!("DELETE FROM {table}"),
        1 => format!("UPDATE {table} SET alive = false"),
        // The first version of the schema has these: no column is missing.
        number => format!("UPDATE {table} SET {}", by_hand(number % WIDTHS[0])),
    };
    sqlx::query(AssertSqlSafe(format!("{statement} WHERE source = $1 AND native_id = $2")))
        .bind(object.place.source_name(run))
        .bind(object.key)
        .execute(connection)
        .await
        .unwrap();
}

/// Which transaction has written each row last.
async fn written(
    connection: &mut PgConnection,
    (kinds, run): (&Kinds, &str),
) -> BTreeMap<Object, String> {
    let mut all = BTreeMap::new();
    for kind in 0..KINDS {
        let name = kinds.name(kind);
        if schemas::tables::columns(connection, name).await.unwrap().is_none() {
            continue;
        }
        let rows = format!(
            "SELECT source, native_id, xmin::text FROM inventory_all.\"{name}\" \
             WHERE source LIKE $1"
        );
        let rows: Vec<(String, String, String)> = sqlx::query_as(AssertSqlSafe(rows))
            .bind(format!("{run}.%"))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        all.extend(rows.into_iter().map(|(s, id, xmin)| (Object::of_row(kind, &s, &id), xmin)));
    }
    all
}
