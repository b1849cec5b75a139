//! Partitions that an earlier start of this member has left, and that nobody reads.
//!
//! A member with a lasting name that is started again gets its predecessor's assignment, without a
//! rebalance (KIP-345). A cooperative rebalance takes two steps: a member gives partitions back,
//! and joins again for them to be given away (KIP-429). One that is killed between them never
//! joins again, and its successor brings no second step about: the partitions are nobody's, for as
//! long as no other member comes or goes.

use crate::{Keeper, Member, Owner, PositionError};
use records::Partition;
use schemas::database::{DatabaseSettings, connect_one};
use sqlx::PgConnection;
use std::time::Duration;

/// How long to wait after a question that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Member {
    /// The partitions of a topic that an earlier start of this member was the last to own.
    async fn left_behind(
        &self,
        connection: &mut PgConnection,
        topic: &str,
    ) -> Result<Vec<Partition>, PositionError> {
        let owners: Vec<(i32, String)> =
            sqlx::query_as("SELECT partition, owner FROM tributary.position WHERE topic = $1")
                .bind(topic)
                .fetch_all(connection)
                .await?;
        let left = owners.into_iter().filter(|(_, owner)| self.is_newer_than(owner));
        Ok(left.map(|(partition, _)| Partition(partition)).collect())
    }
}

/// Ends the readers, for the member to leave and to join anew, if partitions are left some time
/// after the group has said which ones are this member's.
pub(crate) async fn look_after(
    member: Member,
    patience: Duration,
    (database, live, keeper): (DatabaseSettings, Owner, Keeper),
) {
    tokio::time::sleep(patience).await;
    loop {
        match left(&member, &database, &live, &keeper).await {
            Ok(0) => return,
            Ok(partitions) => {
                tracing::warn!(
                    topic = live.topic,
                    partitions,
                    "nobody reads partitions that this member had when it was last killed, in the \
                     middle of a rebalance"
                );
                return keeper.readers.stop.cancel();
            }
            Err(error) => tracing::warn!("{}", chassis::exit::chain(&error)),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// How many are left of those that the topic has: an earlier topic of this name may have had more.
async fn left(
    member: &Member,
    database: &DatabaseSettings,
    live: &Owner,
    keeper: &Keeper,
) -> Result<usize, PositionError> {
    let left = member.left_behind(&mut connect_one(database).await?, &live.topic).await?;
    if left.is_empty() {
        return Ok(0);
    }
    let there = keeper.admin.partitions(&live.topic).await?;
    Ok(left.iter().filter(|partition| there.contains(partition)).count())
}
