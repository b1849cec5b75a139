//! The pace of full refreshes: a token bucket, so that bulk leaves room for others.

use crate::control::Wishes;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many seconds of records may go at once after a rest.
const BURST_SECONDS: f64 = 1.0;
/// A slower pace would be a pause.
const RATE_MIN: f64 = 1.0;

/// Lets bulk records pass at the wanted pace.
#[derive(Debug)]
pub struct Pace {
    wishes: watch::Receiver<Wishes>,
    bucket: Bucket,
}

#[derive(Debug)]
struct Bucket {
    records: f64,
    filled_at: Instant,
}

impl Pace {
    /// As fast as `wishes` say.
    #[must_use]
    pub fn new(wishes: watch::Receiver<Wishes>) -> Self {
        Self { wishes, bucket: Bucket { records: 0.0, filled_at: Instant::now() } }
    }

    /// Waits until one more record may go.
    pub async fn wait(&mut self) {
        let rate = self.wishes.borrow().bulk_records_per_second;
        if let Some(rate) = rate {
            tokio::time::sleep(self.bucket.take(rate, Instant::now())).await;
        }
    }
}

impl Bucket {
    /// Takes one record out, and says how long to wait until it was there.
    fn take(&mut self, rate: f64, now: Instant) -> Duration {
        let rate = rate.max(RATE_MIN);
        let filled = (now - self.filled_at).as_secs_f64() * rate;
        self.records = (self.records + filled).min(rate * BURST_SECONDS) - 1.0;
        self.filled_at = now;
        Duration::from_secs_f64((-self.records / rate).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_kept_and_a_rest_is_worth_one_second() {
        let start = Instant::now();
        let mut bucket = Bucket { records: 0.0, filled_at: start };
        let waits: Vec<_> = (0..3).map(|_| bucket.take(10.0, start).as_millis()).collect();
        assert_eq!(waits, [100, 200, 300]);
        let later = start + Duration::from_mins(1);
        let free = (0..20).take_while(|_| bucket.take(10.0, later).is_zero()).count();
        assert_eq!(free, 10);
    }
}
