//! Positions move past what is no record: the marks at the ends of transactions, and what they have
//! aborted. Else a lane whose producers use transactions would never be caught up.

use crate::error::PersistError;
use crate::lane::Running;
use positions::{Advance, advance};
use records::{Offset, Partition};
use sqlx::Connection;

impl Running<'_> {
    /// Moves the positions of partitions that were read to their ends, once all of their records
    /// are applied. What fails is tried again at the next look.
    pub(crate) async fn pass_ends(&mut self) {
        let advances: Vec<Advance> =
            self.ends.iter().filter_map(|(partition, next)| self.pass(*partition, *next)).collect();
        match self.try_pass(&advances).await {
            // Positions that are not where they were left are found by the next look.
            Ok(is_ours) => {
                self.ends.clear();
                if is_ours {
                    self.moved(&advances);
                }
            }
            Err(error) => {
                self.trouble.tell(&error);
                self.connection = None;
            }
        }
    }

    fn pass(&self, partition: Partition, next: Offset) -> Option<Advance> {
        let expected = *self.expected.get(&partition)?;
        let is_due = expected < next && !self.stale.contains(&partition);
        is_due.then_some(Advance { partition, expected, next, last: None, skipped: None })
    }

    async fn try_pass(&mut self, advances: &[Advance]) -> Result<bool, PersistError> {
        if advances.is_empty() {
            return Ok(true);
        }
        let owner = self.lane.owner.clone();
        let mut transaction = self.connect().await?.begin().await?;
        let is_ours = advance(&mut transaction, &owner, advances).await?;
        if is_ours {
            transaction.commit().await?;
        }
        Ok(is_ours)
    }
}
