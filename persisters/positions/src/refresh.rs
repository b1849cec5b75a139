//! Asks sources for a full listing, on `control`.

use crate::PositionError;
use apache_avro::Schema;
use records::contract::{ContractRecord, Directive};
use records::{Topic, Version};
use std::time::Duration;
use wire::{KafkaSettings, Outgoing, Publisher, Registry, RegistryError, Table, frame, unframe};

/// How long the wish stands: a collector that is down longer lists anyway when it starts.
const WISH_AGE_MAX: Duration = Duration::from_hours(24);

/// The way to the sources' collectors.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The registry.
    pub registry: Registry,
}

impl Refresh {
    /// Asks these sources for a listing that is newer than now, and waits until Kafka has it.
    ///
    /// # Errors
    /// Kafka's or the registry's.
    pub async fn ask(&self, sources: &[String]) -> Result<(), PositionError> {
        if sources.is_empty() {
            return Ok(());
        }
        let id = self.registry.register(Directive::SUBJECT, Directive::json()).await?;
        let publisher = Publisher::new(&self.kafka)?;
        let topic = self.kafka.topic(Topic::Control);
        for source in sources {
            let directive = wish(source, self.current(&topic, source).await?, Version::now());
            let outgoing = Outgoing {
                topic: topic.clone(),
                key: Some(source.clone().into_bytes()),
                payload: Some(frame(id, &directive.encode())),
                headers: Vec::new(),
            };
            publisher.send(outgoing).await?;
        }
        publisher.acknowledged().await?;
        tracing::info!(sources = sources.len(), "all sources were asked for a full listing");
        Ok(())
    }

    /// What is wanted of a source already; one that can't be read is as good as none.
    async fn current(&self, topic: &str, key: &str) -> Result<Option<Directive>, PositionError> {
        let mut table = Table::follow(&self.kafka, topic, key).await?;
        let Some(payload) = table.history().await?.and_then(|newest| newest.payload) else {
            return Ok(None);
        };
        let Ok((id, avro)) = unframe(&payload) else { return Ok(None) };
        let json = match self.registry.schema(id).await {
            Err(RegistryError::NoSchema { .. }) => return Ok(None),
            answer => answer?,
        };
        let writer = Schema::parse_str(&json).ok();
        Ok(writer.and_then(|writer| Directive::decode(&writer, avro).ok()))
    }
}

/// A directive is a state: what others want stays as long as they want it.
fn wish(source: &str, current: Option<Directive>, now: Version) -> Directive {
    let expires_at = now.plus(WISH_AGE_MAX).micros();
    let current = current.filter(|current| current.expires_at > now.micros());
    let unset = Directive {
        source: source.to_owned(),
        paused: false,
        bulk_records_per_second: None,
        listing_wanted_since: None,
        scope: None,
        expires_at,
    };
    let current = current.unwrap_or(unset);
    Directive {
        listing_wanted_since: Some(now.micros()),
        scope: None,
        expires_at: current.expires_at.max(expires_at),
        ..current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_want_stays() {
        let now = Version::now();
        let paused = Directive { paused: true, ..wish("s", None, now) };
        assert!(wish("s", Some(paused.clone()), now).paused);
        let expired = Directive { expires_at: now.micros(), ..paused };
        let anew = wish("s", Some(expired), now);
        assert!(!anew.paused);
        assert_eq!(anew.listing_wanted_since, Some(now.micros()));
    }
}
