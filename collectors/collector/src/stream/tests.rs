//! Why a run of a provider ends, with providers that follow a script.

use super::*;
use crate::recorder::{Recorder, inventory, listing, thing};
use async_trait::async_trait;
use provider::{Report, Sink};
use records::EntityType;
use std::time::Duration;

/// Lists some things, then ends or says nothing any more.
struct Scripted {
    types: [EntityType; 1],
    things: usize,
    ends: bool,
}

#[async_trait]
impl Provider for Scripted {
    fn types(&self) -> &[EntityType] {
        &self.types
    }

    async fn check(&mut self) -> Result<Report, ProviderError> {
        Ok(Report::default())
    }

    async fn run(&mut self, sink: Sink) -> Result<(), ProviderError> {
        let version = sink.version().await?;
        for observation in listing(version, (0..self.things).map(|i| format!("t{i}"))) {
            match observation {
                Observation::Listed(version, entity) => sink.listed(version, entity).await?,
                Observation::Complete(version, name, range) => {
                    sink.complete(version, name, range).await?;
                }
                _ => sink.listing_ends(version).await?,
            }
        }
        if self.ends {
            return Err(ProviderError::Unavailable("broke off".to_owned()));
        }
        std::future::pending().await
    }
}

struct Scene {
    stream: Stream<Recorder>,
    sent: Recorder,
    tell: watch::Sender<Wishes>,
}

fn scene() -> Scene {
    let (inventory, sent) = inventory(&[]);
    let (tell, wishes) = watch::channel(Wishes::default());
    let timing = Timing {
        listing_every: Duration::from_hours(24),
        second_listing_after: Duration::from_mins(5),
        silence_max: Duration::from_hours(48),
        observations_max: 4,
    };
    let (stop, requests) = (CancellationToken::new(), Requests::default());
    Scene { stream: Stream { inventory, wishes, stop, timing, requests }, sent, tell }
}

async fn run(scene: &mut Scene, things: usize, ends: bool) -> Ended {
    let (clock, issuer) = Clock::above(Version::NEVER);
    issuer.raise(Version::from_micros(i64::MAX));
    let mut provider = Scripted { types: [thing()], things, ends };
    scene.stream.run(&mut provider, clock).await.unwrap()
}

#[tokio::test]
async fn what_was_sent_before_the_provider_ended_counts() {
    let mut scene = scene();
    assert!(matches!(run(&mut scene, 10, true).await, Ended::Provider(Err(_))));
    let checkpoint = "checkpoints vc1/inventory: {\"thing\":10}".to_owned();
    assert!(scene.sent.take().contains(&checkpoint));
}

#[tokio::test]
async fn a_silent_stream_ends() {
    let mut scene = scene();
    scene.stream.timing.silence_max = Duration::from_millis(20);
    assert!(matches!(run(&mut scene, 1, false).await, Ended::Silent));
}

#[tokio::test]
async fn a_listing_is_due_after_its_time_and_sooner_when_one_is_held() {
    let mut scene = scene();
    scene.stream.timing.listing_every = Duration::from_millis(200);
    assert!(matches!(run(&mut scene, 300, false).await, Ended::ListingDue));
    scene.stream.timing.listing_every = Duration::from_hours(24);
    scene.stream.timing.second_listing_after = Duration::from_millis(1);
    assert!(matches!(run(&mut scene, 0, false).await, Ended::ListingDue));
}

#[tokio::test]
async fn wishes_and_the_stop_signal_end_it() {
    let mut scene = scene();
    scene.tell.send_replace(Wishes { is_paused: true, ..Wishes::default() });
    assert!(matches!(run(&mut scene, 1, false).await, Ended::Paused));
    let since = Some(Version::now().plus(Duration::from_secs(60)));
    scene.tell.send_replace(Wishes { listing_since: since, ..Wishes::default() });
    assert!(matches!(run(&mut scene, 1, false).await, Ended::ListingDue));
    let past = Some(Version::from_micros(1));
    scene.tell.send_replace(Wishes { listing_since: past, ..Wishes::default() });
    scene.stream.stop.cancel();
    assert!(matches!(run(&mut scene, 1, false).await, Ended::Stopped));
}
