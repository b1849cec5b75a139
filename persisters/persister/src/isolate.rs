//! Finds the records that PostgreSQL refuses, and applies all others.
//!
//! The step is tried in halves, in savepoints of one transaction: some tries for each bad record,
//! their number growing with the logarithm of the step's size. The records of an object stay
//! together until no other object is left to split off.

use crate::decode::{Rejected, Step, Work};
use crate::error::PersistError;
use crate::licence::Licence;
use crate::step::{apply, types_of};
use catalog::Table;
use inventory::Counts;
use inventory::{Lock, lock};
use plan::Batch;
use records::TypeName;
use records::rejection::Class;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, HashMap};

type Batches = BTreeMap<TypeName, Batch>;

/// What is left of a step without the records that were refused.
#[derive(Debug, Default)]
pub struct Isolated {
    /// What the others did.
    pub counts: Counts,
    /// The dead letters.
    pub refused: Vec<Rejected>,
}

/// A record, by its type and its number in the type's batch.
type Place<'a> = (&'a TypeName, usize);

/// Objects that are tried together, each with its records in the order of their arrival.
type Part<'a> = Vec<Vec<Place<'a>>>;

/// Applies what can be applied of a step inside of the caller's transaction.
///
/// # Errors
/// [`PersistError`] that is no refusal; the transaction must then be rolled back.
pub async fn isolate(
    connection: &mut PgConnection,
    step: &Step,
    tables: &HashMap<TypeName, Table>,
) -> Result<Isolated, PersistError> {
    // A constraint that waits for the commit would refuse everything there.
    sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *connection).await?;
    match &step.work {
        Work::Changes(batches) => isolate_changes(connection, batches, tables).await,
        Work::History(batch) => isolate_history(connection, batch.clone()).await,
        Work::Extent(_) => match try_work(connection, &step.work, tables).await {
            Ok(counts) => Ok(Isolated { counts, refused: Vec::new() }),
            Err(error) => {
                let refusal = rejected(step.end - 1, error.refusal().ok_or(error)?);
                Ok(Isolated { counts: Counts::default(), refused: vec![refusal] })
            }
        },
    }
}

async fn isolate_history(
    connection: &mut PgConnection,
    batch: history::Batch,
) -> Result<Isolated, PersistError> {
    let mut isolated = Isolated::default();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        let work = Work::History(part.clone());
        match try_work(connection, &work, &HashMap::new()).await {
            Ok(counts) => isolated.counts += counts,
            Err(error) => {
                let refusal = error.refusal().ok_or(error)?;
                match part.halves() {
                    Ok((first, second)) => parts.extend([second, first]),
                    Err(only) => isolated.refused.extend(only.map(|o| rejected(o, refusal))),
                }
            }
        }
    }
    Ok(isolated)
}

async fn isolate_changes(
    connection: &mut PgConnection,
    batches: &Batches,
    tables: &HashMap<TypeName, Table>,
) -> Result<Isolated, PersistError> {
    // All of them now, so that the order of locks is kept whatever the parts are.
    lock(connection, Lock::Shared, &types_of(batches)).await?;
    let mut isolated = Isolated::default();
    let mut parts = vec![objects(batches)];
    while let Some(part) = parts.pop() {
        let work = Work::Changes(batches_of(batches, &part));
        let refusal = match try_work(connection, &work, tables).await {
            Ok(counts) => {
                isolated.counts += counts;
                continue;
            }
            Err(error) => error.refusal().ok_or(error)?,
        };
        match halves(part) {
            Ok((first, second)) => parts.extend([second, first]),
            Err((entity_type, record)) => {
                let origin = batches[entity_type].records()[record].origin;
                isolated.refused.push(rejected(origin, refusal));
            }
        }
    }
    Ok(isolated)
}

async fn try_work(
    connection: &mut PgConnection,
    work: &Work,
    tables: &HashMap<TypeName, Table>,
) -> Result<Counts, PersistError> {
    let mut savepoint = connection.begin().await?;
    let counts = apply(&mut savepoint, work, tables, &Licence::default()).await?;
    savepoint.commit().await?;
    Ok(counts)
}

const fn rejected(origin: usize, message: String) -> Rejected {
    Rejected { origin, class: Class::RefusedByDatabase, message }
}

fn objects(batches: &Batches) -> Part<'_> {
    let of_batch = |(entity_type, batch): (_, &Batch)| {
        let groups = batch.groups().into_iter();
        groups.map(move |group| group.records.into_iter().map(|r| (entity_type, r)).collect())
    };
    batches.iter().flat_map(of_batch).collect()
}

/// Splits between objects or, if there is only one, between its records.
///
/// # Errors
/// The only record.
fn halves(mut part: Part<'_>) -> Result<(Part<'_>, Part<'_>), Place<'_>> {
    if part.len() > 1 {
        let second = part.split_off(part.len() / 2);
        return Ok((part, second));
    }
    let mut records = part.pop().expect("a refused part has an object");
    if let [record] = records[..] {
        return Err(record);
    }
    let second = records.split_off(records.len() / 2);
    Ok((vec![records], vec![second]))
}

fn batches_of(batches: &Batches, part: &Part<'_>) -> Batches {
    let mut numbers = BTreeMap::<&TypeName, Vec<usize>>::new();
    for (entity_type, record) in part.iter().flatten() {
        numbers.entry(entity_type).or_default().push(*record);
    }
    let of_type =
        |(name, records): (&TypeName, Vec<usize>)| (name.clone(), batches[name].part(&records));
    numbers.into_iter().map(of_type).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_split_only_when_it_is_alone() {
        let widget = TypeName::new("widget").unwrap();
        let (a1, a2, b) = ((&widget, 0), (&widget, 1), (&widget, 2));
        let (first, second) = halves(vec![vec![a1, a2], vec![b]]).unwrap();
        assert_eq!((&first, &second), (&vec![vec![a1, a2]], &vec![vec![b]]));
        let (first, second) = halves(first).unwrap();
        assert_eq!((first, second.clone()), (vec![vec![a1]], vec![vec![a2]]));
        assert_eq!(halves(second), Err(a2));
    }
}
