//! Who owns what: partitions of all lanes come and go together.

use crate::left::look_after;
use crate::owner::take_over;
use crate::{Keeper, Member, Owner, PositionError};
use chassis::{Backoff, Health};
use records::{Offset, Partition};
use schemas::database::{DatabaseSettings, connect_one};
use sqlx::PgConnection;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wire::{PartitionStart, Positions, ReaderHandle};

/// Takes partitions of all lanes over, inside the rebalance callback of the live one.
pub struct Ownership {
    /// Where the questions are asked: the callback is on a thread of its own.
    pub runtime: Handle,
    /// Where connections come from.
    pub database: DatabaseSettings,
    /// Who takes them over.
    pub member: Member,
    /// How long partitions that an earlier start of the member had may be without another owner.
    pub patience: Duration,
    /// Whose positions of the live lane.
    pub live: Owner,
    /// Whose positions of the other lanes, and commands to their readers.
    pub beside: Vec<(Owner, ReaderHandle)>,
    /// Knows which log a position belongs to.
    pub keeper: Keeper,
    /// Who hears that the group was joined.
    pub health: Health,
    /// Ends the tries.
    pub stop: CancellationToken,
}

type Next = Vec<(Partition, Offset)>;

impl Ownership {
    /// The positions of the live lane, and of those beside it.
    async fn all(&self, partitions: &[Partition]) -> Result<(Next, Vec<Next>), PositionError> {
        let mut connection = connect_one(&self.database).await?;
        let live = self.one(&mut connection, &self.live, partitions).await?;
        let mut beside = Vec::new();
        for (owner, _) in &self.beside {
            beside.push(self.one(&mut connection, owner, partitions).await?);
        }
        Ok((live, beside))
    }

    async fn one(
        &self,
        connection: &mut PgConnection,
        owner: &Owner,
        partitions: &[Partition],
    ) -> Result<Next, PositionError> {
        take_over(connection, owner, partitions).await?;
        let next = self.keeper.settle(connection, owner, partitions).await?;
        self.compare_with_group(&owner.topic, &next).await?;
        Ok(next)
    }

    /// What the group has committed is only a courtesy, which a crash leaves behind: who has moved
    /// it by hand must hear that.
    async fn compare_with_group(&self, topic: &str, next: &Next) -> Result<(), PositionError> {
        let committed = self.keeper.admin.committed_by_others(topic).await?;
        let other = differing(next, &committed);
        if let Some((partition, committed, next)) = other.first() {
            tracing::warn!(
                topic,
                partitions = other.len(),
                "the group's committed offsets differ from PostgreSQL's positions (partition \
                 {partition}: {committed}, not {next}); PostgreSQL's hold, and resetting a \
                 group's offsets has no effect: use `persister positions rewind`"
            );
        }
        Ok(())
    }

    fn look_after_what_is_left(&self) {
        let places = (self.database.clone(), self.live.clone(), self.keeper.clone());
        let looked = look_after(self.member.clone(), self.patience, places);
        self.runtime.spawn(self.stop.clone().run_until_cancelled_owned(looked));
    }

    async fn patiently(&self, partitions: &[Partition]) -> Option<(Next, Vec<Next>)> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let all = tokio::select! {
                () = self.stop.cancelled() => return None,
                all = self.all(partitions) => all,
            };
            match all {
                Ok(next) => return Some(next),
                Err(error) => tracing::warn!("{}", chassis::exit::chain(&error)),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }
}

impl Positions for Ownership {
    fn take_over(&self, partitions: &[Partition]) -> Vec<(Partition, PartitionStart)> {
        let Some((live, beside)) = self.runtime.block_on(self.patiently(partitions)) else {
            return Vec::new();
        };
        tracing::info!(partitions = partitions.len(), "partitions assigned");
        self.health.ready("group", Ok(()));
        self.look_after_what_is_left();
        for ((_, reader), next) in self.beside.iter().zip(beside) {
            reader.assign(starts(next));
        }
        starts(live)
    }

    fn released(&self, partitions: &[Partition]) {
        tracing::info!(partitions = partitions.len(), "partitions revoked");
        for (_, reader) in &self.beside {
            reader.unassign(partitions.to_vec());
        }
    }
}

fn starts(next: Next) -> Vec<(Partition, PartitionStart)> {
    next.into_iter().map(|(partition, next)| (partition, PartitionStart::from_next(next))).collect()
}

/// Partitions of which the group has committed something else than the position: both of them.
fn differing(next: &Next, committed: &[(Partition, Offset)]) -> Vec<(Partition, Offset, Offset)> {
    let position = |partition| next.iter().find(|(p, _)| *p == partition);
    let differing = committed.iter().filter_map(|(partition, committed)| {
        let next = position(*partition)?.1;
        (*committed != next).then_some((*partition, *committed, next))
    });
    differing.collect()
}
