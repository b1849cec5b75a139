//! The lease on a source's versions: one writer at a time, and no version above a ceiling that is
//! acknowledged.

use crate::CollectError;
use crate::context::Context;
use crate::formats::Formats;
use crate::outlet::{Kafka, Outlet, Record};
use crate::settings::GivenLease;
use provider::{Clock, Issuer};
use records::contract::Lease;
use records::{Topic, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use wire::{KafkaProblem, Table, TableValue};

/// How far ahead of now versions may be issued.
const AHEAD: Duration = Duration::from_secs(5);
/// How often the ceiling is raised.
const RENEW_EVERY: Duration = Duration::from_millis(1500);

/// The right to issue versions, while it is kept.
pub struct Tenure {
    context: Context,
    formats: Arc<Formats>,
    /// A producer of its own: leases don't wait behind bulk.
    outlet: Kafka,
    table: Table,
    claim: Claim,
    floor: Version,
    ceiling: Version,
}

/// Who we are among the writers of the source.
#[derive(Debug)]
struct Claim {
    writer: String,
    term: i64,
    /// Our lease has been read back: of two writers with one term the first on Kafka has it.
    is_confirmed: bool,
}

impl Claim {
    /// The claim of the writer after `newest`.
    fn after(newest: Option<&Lease>) -> Self {
        let term = newest.map_or(0, |newest| newest.term) + 1;
        let writer = format!("{}-{}", std::process::id(), Version::now());
        Self { writer, term, is_confirmed: false }
    }

    /// The claim that somebody else has made for this process.
    fn given(lease: &GivenLease) -> Self {
        Self { writer: lease.writer.clone(), term: lease.term, is_confirmed: false }
    }

    /// Takes note of a lease on Kafka.
    fn judge(&mut self, lease: &Lease) -> Result<(), CollectError> {
        if lease.writer == self.writer && lease.term == self.term {
            self.is_confirmed = true;
            return Ok(());
        }
        if lease.term > self.term || (lease.term == self.term && !self.is_confirmed) {
            return Err(CollectError::TakenOver {
                source_name: lease.source.clone(),
                writer: lease.writer.clone(),
                term: lease.term,
            });
        }
        Ok(())
    }
}

impl Tenure {
    /// Takes the lease of the next term, or goes on with the given one, and returns the clock that
    /// it allows.
    ///
    /// # Errors
    /// [`CollectError::TakenOver`] if another writer was faster; Kafka's.
    pub async fn take(
        context: &Context,
        formats: Arc<Formats>,
        given: Option<&GivenLease>,
    ) -> Result<(Self, Clock, Issuer), CollectError> {
        let mut table = context.table(Topic::Checkpoints, &key(context)).await?;
        let newest = match table.history().await?.and_then(|newest| newest.payload) {
            Some(payload) => Some(context.decode(Topic::Checkpoints, &payload).await?),
            None => None,
        };
        let mut claim = given.map_or_else(|| Claim::after(newest.as_ref()), Claim::given);
        newest.iter().try_for_each(|newest| claim.judge(newest))?;
        let ceiling = newest.map_or(Version::NEVER, |lease| Version::from_micros(lease.ceiling));
        let floor = ceiling.max(given.map_or(Version::NEVER, |given| given.version_floor));
        let (outlet, context) = (Kafka::new(context)?, context.clone());
        let mut tenure = Self { context, formats, outlet, table, claim, floor, ceiling: floor };
        let first = tenure.renew().await?;
        while !tenure.claim.is_confirmed {
            let value = tenure.table.values.recv().await;
            tenure.judge(value).await?;
        }
        let Claim { writer, term, .. } = &tenure.claim;
        tracing::info!(source = %tenure.context.source, writer, term, "lease taken");
        let (clock, issuer) = Clock::above(floor);
        issuer.raise(first);
        Ok((tenure, clock, issuer))
    }

    /// Renews the lease for ever.
    ///
    /// # Errors
    /// [`CollectError::TakenOver`]; Kafka's.
    pub async fn keep(mut self, issuer: Issuer) -> Result<(), CollectError> {
        let mut ticks = interval(RENEW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => issuer.raise(self.renew().await?),
                value = self.table.values.recv() => self.judge(value).await?,
            }
        }
    }

    /// The ceiling never comes down, also when the machine's clock does.
    async fn renew(&mut self) -> Result<Version, CollectError> {
        self.ceiling = self.ceiling.max(self.floor.max(Version::now()).plus(AHEAD));
        let lease = Lease {
            source: self.context.source.to_string(),
            writer: self.claim.writer.clone(),
            term: self.claim.term,
            ceiling: self.ceiling.micros(),
        };
        let payload = self.formats.frame(&lease);
        let key = key(&self.context);
        self.outlet.send(Record { topic: Topic::Checkpoints, key, payload }).await?;
        self.outlet.acknowledged().await?;
        Ok(self.ceiling)
    }

    async fn judge(&mut self, value: Option<TableValue>) -> Result<(), CollectError> {
        match value.ok_or(KafkaProblem::Stopped)?.payload {
            Some(payload) => {
                let lease = self.context.decode(Topic::Checkpoints, &payload).await?;
                self.claim.judge(&lease)
            }
            None => Ok(()),
        }
    }
}

fn key(context: &Context) -> String {
    format!("{}/versions", context.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(writer: &str, term: i64, ceiling: i64) -> Lease {
        Lease { source: "vc1".to_owned(), writer: writer.to_owned(), term, ceiling }
    }

    fn claim(writer: &str, term: i64) -> Claim {
        Claim { writer: writer.to_owned(), term, is_confirmed: false }
    }

    #[test]
    fn the_next_writer_has_the_next_term() {
        assert_eq!(Claim::after(None).term, 1);
        let newest = lease("a", 2, 900);
        let mut next = Claim::after(Some(&newest));
        assert_eq!(next.term, 3);
        assert!(next.judge(&newest).is_ok());
    }

    #[test]
    fn a_higher_term_takes_over_and_a_lower_one_does_not() {
        let mut ours = claim("a", 2);
        assert!(ours.judge(&lease("old", 1, 0)).is_ok());
        let error = ours.judge(&lease("new", 3, 0)).unwrap_err().to_string();
        assert_eq!(error, "another collector of source vc1 (writer new, term 3) has taken over");
    }

    #[test]
    fn of_two_writers_with_one_term_exactly_the_first_on_kafka_stays() {
        let log = [lease("a", 2, 0), lease("b", 2, 0), lease("a", 2, 1), lease("b", 2, 1)];
        let reads = |mut claim: Claim| log.iter().try_for_each(|lease| claim.judge(lease)).is_ok();
        assert!(reads(claim("a", 2)));
        assert!(!reads(claim("b", 2)));
    }
}
