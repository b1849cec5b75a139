//! The engine: takes the lease, then runs the provider again and again until it is told to stop.

use crate::context::Context;
use crate::control::{self, Wishes};
use crate::formats::Formats;
use crate::guard::Guard;
use crate::inventory::{self, Counts, Inventory};
use crate::lease::Tenure;
use crate::outlet::{Kafka, Outlet};
use crate::pace::Pace;
use crate::stream::{Ended, Stream};
use crate::{CollectError, Metrics, Settings};
use chassis::{Backoff, ExitKind, Health};
use provider::{Clock, Provider};
use records::contract::Position;
use records::{SourceName, Topic, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::Registry;

/// How long what is on its way to Kafka may take after the stop signal.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const RETRY_DELAY_INITIAL: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_mins(1);

/// A collector of one source.
pub struct Collector {
    /// The source.
    pub source: SourceName,
    /// What it is told.
    pub settings: Settings,
    /// Metrics.
    pub metrics: Metrics,
    /// Probes.
    pub health: Health,
}

/// Collects until `stop`, or until another collector takes the source over. What time can heal is
/// tried again.
///
/// # Errors
/// What only a person can mend.
pub async fn run(
    collector: &Collector,
    provider: &mut dyn Provider,
    stop: CancellationToken,
) -> Result<(), CollectError> {
    let result = attempts(collector, provider, &stop).await;
    provider.close().await;
    result
}

async fn attempts(
    collector: &Collector,
    provider: &mut dyn Provider,
    stop: &CancellationToken,
) -> Result<(), CollectError> {
    let mut backoff = Backoff::new(RETRY_DELAY_INITIAL, RETRY_DELAY_MAX);
    loop {
        let result = tokio::select! {
            result = collector.attempt(provider, stop) => result,
            () = stop_patience(stop) => Ok(()),
        };
        match result {
            Err(error @ CollectError::TakenOver { .. }) => {
                tracing::warn!("{error}; this one ends");
                return Ok(());
            }
            Err(error) if !error.is_final() => collector.tell("engine", &error),
            result => return result,
        }
        if sleep_unless(stop, backoff.next_delay()).await {
            return Ok(());
        }
    }
}

impl Collector {
    /// One attempt, from connecting to Kafka to what breaks it.
    async fn attempt(
        &self,
        provider: &mut dyn Provider,
        stop: &CancellationToken,
    ) -> Result<(), CollectError> {
        let context = Context {
            source: self.source.clone(),
            kafka: self.settings.kafka.clone(),
            registry: Registry::new(&self.settings.registry)?,
            metrics: self.metrics.clone(),
        };
        let formats = Arc::new(Formats::register(&context.registry, provider.types()).await?);
        let given = self.settings.lease.as_ref();
        let (tenure, clock, issuer) = Tenure::take(&context, Arc::clone(&formats), given).await?;
        let (tell_wishes, wishes) = watch::channel(Wishes::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(tenure.keep(issuer));
        tasks.spawn(control::follow(context.clone(), tell_wishes));
        let memory = (Guard::after(&checkpoint(&context).await?), Pace::new(wishes.clone()));
        let outlet = Kafka::new(&context)?;
        let mut stream = Stream {
            inventory: Inventory::new(outlet, &context, formats, memory),
            wishes,
            stop: stop.clone(),
            timing: self.settings.timing.clone(),
            requests: self.metrics.count_requests(),
        };
        tokio::select! {
            result = self.collect(&mut stream, provider, clock) => result,
            Some(ended) = tasks.join_next() => ended?,
        }
    }

    /// Runs the provider again and again.
    async fn collect<O: Outlet>(
        &self,
        stream: &mut Stream<O>,
        provider: &mut dyn Provider,
        clock: Clock,
    ) -> Result<(), CollectError> {
        let version = clock.issue().await.map_err(provider::ProviderError::from)?;
        stream.inventory.retire(version).await?;
        let mut backoff = Backoff::new(RETRY_DELAY_INITIAL, RETRY_DELAY_MAX);
        loop {
            let begun = stream.inventory.listing_ended();
            self.health.ready("provider", Ok(()));
            match stream.run(provider, clock.clone()).await? {
                Ended::Stopped => return stream.inventory.outlet.acknowledged().await,
                Ended::ListingDue => continue,
                Ended::Paused => {
                    tracing::info!("paused by a directive");
                    if stream.resumed().await {
                        continue;
                    }
                    return Ok(());
                }
                Ended::Silent => self.tell_silence(stream.timing.silence_max),
                Ended::Provider(Err(error)) if error.is_final() => return Err(error.into()),
                Ended::Provider(Err(error)) => self.tell("provider", &error),
                Ended::Provider(Ok(())) => tracing::warn!("the provider ended; starting it anew"),
            }
            if stream.inventory.listing_ended() > begun {
                backoff.reset();
            }
            if sleep_unless(&stream.stop, backoff.next_delay()).await {
                return Ok(());
            }
        }
    }

    fn tell(&self, kind: &'static str, error: &dyn std::error::Error) {
        let error = chassis::exit::chain(error);
        tracing::warn!("{error}; trying again");
        self.metrics.failed(kind);
        self.health.ready("provider", Err(error));
    }

    fn tell_silence(&self, silence: Duration) {
        let reason = format!("no sign of life from the provider for {silence:?}");
        tracing::warn!("{reason}; starting it anew");
        self.metrics.failed("silence");
        self.health.ready("provider", Err(reason));
    }
}

/// What the last collector of the source knew.
async fn checkpoint(context: &Context) -> Result<Counts, CollectError> {
    let key = inventory::position_key(&context.source);
    let mut table = context.table(Topic::Checkpoints, &key).await?;
    let Some(payload) = table.history().await?.and_then(|newest| newest.payload) else {
        return Ok(Counts::new());
    };
    let position: Position = context.decode(Topic::Checkpoints, &payload).await?;
    let age_seconds = Version::from_micros(position.version).age_seconds(Version::now());
    tracing::info!(age_seconds, "going on after a checkpoint");
    Ok(inventory::counts(&position))
}

/// Sleeps, unless stopped meanwhile; whether it was.
async fn sleep_unless(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(time) => false,
    }
}

async fn stop_patience(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_PATIENCE).await;
    tracing::warn!("Kafka did not acknowledge in time; the next listing repairs what is missing");
}
