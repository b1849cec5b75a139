//! What persisters have committed, told by PostgreSQL: each transaction writes down how it moved
//! positions, in itself. So the record goes back with the rows when the server loses commits.

use crate::Outcome;
use records::{Offset, Partition};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;

/// The triggers wait for the commit: a transaction takes its turn while it holds all of its locks,
/// so that of two that touch the same rows the later one has the later turn.
const INSTALL: &str = "CREATE SCHEMA audit;
    CREATE SEQUENCE audit.turn;
    CREATE TABLE audit.part (turn bigint PRIMARY KEY, transaction bigint, topic text,
        partition integer, from_offset bigint, to_offset bigint);
    CREATE TABLE audit.extent (transaction bigint);
    CREATE FUNCTION audit.position_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.part VALUES (nextval('audit.turn'), txid_current(), NEW.topic,
            NEW.partition, OLD.next_offset, NEW.next_offset);
        RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER audit AFTER UPDATE ON tributary.position
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (OLD.next_offset IS DISTINCT FROM NEW.next_offset)
        EXECUTE FUNCTION audit.position_moves();
    CREATE FUNCTION audit.extent_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.extent VALUES (txid_current());
        RETURN NULL; END $$;
    CREATE TRIGGER audit AFTER INSERT ON tributary.extent
        FOR EACH STATEMENT EXECUTE FUNCTION audit.extent_changes()";

/// How one transaction moved one position.
#[derive(Debug, Clone)]
pub struct Part {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The first record that it applied.
    pub from: Offset,
    /// The first one that it did not.
    pub to: Offset,
}

/// One transaction.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// What it applied.
    pub parts: Vec<Part>,
    /// Whether it wrote down the range of an extent.
    pub is_extent: bool,
}

/// Lets a database write down what is committed from now on.
///
/// # Errors
/// What PostgreSQL said.
pub async fn install(database_url: &str) -> Outcome<()> {
    let mut connection = PgConnection::connect(database_url).await?;
    sqlx::raw_sql(INSTALL).execute(&mut connection).await?;
    Ok(())
}

/// What was committed, in the order in which it counts.
///
/// # Errors
/// What PostgreSQL said.
pub async fn read(connection: &mut PgConnection) -> Outcome<Vec<Transaction>> {
    let rows: Vec<(i64, String, i32, i64, i64, bool)> = sqlx::query_as(
        "SELECT transaction, topic, partition, from_offset, to_offset, \
         EXISTS (SELECT FROM audit.extent AS e WHERE e.transaction = p.transaction) \
         FROM audit.part AS p ORDER BY min(turn) OVER (PARTITION BY transaction), turn",
    )
    .fetch_all(connection)
    .await?;
    let mut transactions: Vec<(i64, Transaction)> = Vec::new();
    for (id, topic, partition, from, to, is_extent) in rows {
        if transactions.last().is_none_or(|(last, _)| *last != id) {
            transactions.push((id, Transaction { parts: Vec::new(), is_extent }));
        }
        let (partition, from, to) = (Partition(partition), Offset(from), Offset(to));
        let parts = transactions.last_mut().map(|(_, transaction)| &mut transaction.parts);
        parts.into_iter().for_each(|parts| {
            parts.push(Part { topic: topic.clone(), partition, from, to });
        });
    }
    Ok(transactions.into_iter().map(|(_, transaction)| transaction).collect())
}

/// Whether each position went from the log's beginning to its end without a repetition or a gap.
///
/// # Errors
/// The first place where it did not.
pub fn check(
    transactions: &[Transaction],
    ends: &BTreeMap<(String, Partition), Offset>,
) -> Result<(), String> {
    let mut next: BTreeMap<(String, Partition), Offset> = BTreeMap::new();
    for part in transactions.iter().flat_map(|transaction| &transaction.parts) {
        let known = next.entry((part.topic.clone(), part.partition)).or_insert(Offset(0));
        if *known != part.from || part.to <= part.from {
            return Err(format!("after {known} came {part:?}"));
        }
        *known = part.to;
    }
    for (place, end) in ends {
        let reached = next.get(place).copied().unwrap_or(Offset(0));
        if reached != *end {
            return Err(format!("{place:?} was applied up to {reached} of {end}"));
        }
    }
    Ok(())
}
