//! The licence: when a snapshot record that equals its living row need not be written.

use crate::error::PersistError;
use positions::Progress;
use records::{Offset, Partition, TypeName};
use sqlx::PgConnection;
use std::collections::HashSet;

/// For which types the live lane is known to be caught up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Licence {
    caught_up: bool,
    waiting: Vec<String>,
}

impl Licence {
    /// For every type, or for none.
    #[must_use]
    pub const fn for_all(caught_up: bool) -> Self {
        Self { caught_up, waiting: Vec::new() }
    }

    /// Whether whole records of the type that equal their living rows need not be written.
    #[must_use]
    pub fn holds_for(&self, entity_type: &TypeName) -> bool {
        self.caught_up && self.waiting.iter().all(|waiting| waiting != entity_type.as_str())
    }

    /// The licence without types of which the batch itself has records that wait.
    #[must_use]
    pub fn without<'a>(mut self, waiting: impl Iterator<Item = &'a TypeName>) -> Self {
        self.waiting.extend(waiting.map(TypeName::to_string));
        self
    }

    /// Asks where the live partitions end now, waits a little until they are applied up to there,
    /// and lets the table confirm it: positions that were moved back, as when the records of a type
    /// no longer wait, are known there first.
    ///
    /// # Errors
    /// If Kafka or PostgreSQL can't be asked.
    pub(crate) async fn of(
        connection: &mut PgConnection,
        live: &Progress,
        partitions: HashSet<Partition>,
    ) -> Result<Self, PersistError> {
        let ends = live.ends(partitions).await?;
        if !live.reaches(&ends).await {
            return Ok(Self::default());
        }
        confirm(connection, live.topic(), &ends).await
    }
}

/// One statement, so that a type that waits no longer and its positions are seen together.
async fn confirm(
    connection: &mut PgConnection,
    topic: &str,
    ends: &[(Partition, Offset)],
) -> Result<Licence, PersistError> {
    let (caught_up, waiting) = sqlx::query_as(
        "SELECT NOT EXISTS (SELECT FROM unnest($2::int[], $3::bigint[]) AS i(partition, until) \
         LEFT JOIN tributary.position AS p ON p.topic = $1 AND p.partition = i.partition \
         WHERE i.until > 0 AND (p.next_offset < i.until) IS NOT FALSE), \
         ARRAY(SELECT type::text FROM tributary.waiting)",
    )
    .bind(topic)
    .bind(ends.iter().map(|(partition, _)| partition.0).collect::<Vec<_>>())
    .bind(ends.iter().map(|(_, end)| end.0).collect::<Vec<_>>())
    .fetch_one(connection)
    .await?;
    Ok(Licence { caught_up, waiting })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_waits_has_no_licence() {
        let name = |name: &str| TypeName::new(name).unwrap();
        let licence = Licence { caught_up: true, waiting: vec!["host".to_owned()] };
        assert!(licence.holds_for(&name("vm")));
        assert!(!licence.holds_for(&name("host")));
        assert!(!Licence::default().holds_for(&name("vm")));
    }
}
