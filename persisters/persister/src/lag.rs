//! The gauges of what is left to apply, also when nothing flows.

use crate::error::PersistError;
use crate::metrics::{LagLabel, Metrics};
use positions::Progress;
use records::Partition;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wire::LogRange;

/// What a lane's partitions hold.
type Ranges = Vec<(Partition, LogRange)>;

/// How often the ends of partitions are asked for.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How often positions are compared with them, and how soon the ends are asked for once partitions
/// have come or gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Measures the lanes until `stop`. A partition that is another member's loses its series.
///
/// # Errors
/// None: the next measure heals what has failed.
pub async fn measure(
    lanes: Vec<Progress>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), PersistError> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let (mut shown, mut measured_at) = (HashSet::new(), Instant::now());
    let mut ranges: Vec<Ranges> = vec![Vec::new(); lanes.len()];
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        let owned: HashSet<LagLabel> = lanes.iter().flat_map(labels).collect();
        for label in shown.difference(&owned) {
            metrics.lag.remove(label);
        }
        let is_due = owned != shown || measured_at.elapsed() >= MEASURE_EVERY;
        shown = owned;
        for (lane, ranges) in lanes.iter().zip(&mut ranges) {
            if is_due {
                measured_at = Instant::now();
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    measured = lane.ranges() => match measured {
                        Ok(measured) => *ranges = measured,
                        Err(error) => {
                            let error = chassis::exit::chain(&error);
                            tracing::warn!("lag is not measured: {error}");
                        }
                    },
                }
            }
            set(lane, ranges, &metrics);
        }
    }
}

fn labels(lane: &Progress) -> Vec<LagLabel> {
    lane.positions().into_keys().map(|partition| label(lane, partition)).collect()
}

fn label(lane: &Progress, partition: Partition) -> LagLabel {
    LagLabel { topic: lane.topic().to_owned(), partition: partition.0 }
}

/// Positions are read after the ends, so that what is applied meanwhile does not count.
fn set(lane: &Progress, ranges: &Ranges, metrics: &Metrics) {
    let positions = lane.positions();
    for (partition, range) in ranges {
        if let Some(next) = positions.get(partition) {
            metrics.lag.get_or_create(&label(lane, *partition)).set(range.lag(*next));
        }
    }
}
