//! Which sources are quiet and which are loud, by how much of the work is theirs.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Quiet sources send at most this share of all records together, or of what the lane applies: its
/// backlog may be of one that has ended.
const SHARE: f64 = 0.25;

/// So many of the newest records are little work, also when the lane stands still: about 2,000 a
/// second.
const FEW: f64 = 1_000.0;

/// A source that has sent so little, compared with what it counts for now, is forgotten.
const NOTHING: f64 = 0.01;

/// After so many records it is found out anew who is loud.
const JUDGE_EVERY: u32 = 1_000;

/// Who sends how much. One thread reads records, another lets time pass.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Counts>);

/// How many records sources have sent and the lane has applied, the newest counting most.
#[derive(Debug, Default)]
struct Counts {
    sent: HashMap<Vec<u8>, f64>,
    applied: f64,
    loud: HashSet<Vec<u8>>,
    since_judged: u32,
}

impl Traffic {
    /// Counts a record by its key, and tells whether its source is quiet.
    pub fn is_quiet(&self, key: &[u8]) -> bool {
        let (source, mut counts) = (source(key), self.counts());
        match counts.sent.get_mut(source) {
            Some(count) => *count += 1.0,
            None => drop(counts.sent.insert(source.to_vec(), 1.0)),
        }
        counts.since_judged += 1;
        if counts.since_judged >= JUDGE_EVERY {
            counts.since_judged = 0;
            counts.loud = counts.loud();
        }
        !counts.loud.contains(source)
    }

    /// What was sent until now counts half; what the lane has applied, counted so too, is this.
    pub fn fade(&self, applied: i64) {
        let mut counts = self.counts();
        counts.applied = applied as f64;
        counts.sent.values_mut().for_each(|count| *count /= 2.0);
        counts.sent.retain(|_, count| *count > NOTHING);
    }

    /// A number that is wrong after a panic is wrong for a moment.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The sources that are not quiet. Quiet are those that have sent least, as long as all of
    /// theirs is a small share of the work: what goes ahead of a backlog must not make it much
    /// longer.
    fn loud(&self) -> HashSet<Vec<u8>> {
        let mut sent: Vec<(&Vec<u8>, f64)> =
            self.sent.iter().map(|(s, count)| (s, *count)).collect();
        sent.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
        let all = sent.iter().map(|(_, count)| count).sum::<f64>();
        let most = FEW.max(SHARE * all.max(self.applied));
        let mut sum = 0.0;
        let is_quiet = |(_, count): &(&Vec<u8>, f64)| {
            sum += count;
            sum <= most
        };
        sent.into_iter().skip_while(is_quiet).map(|(source, _)| source.clone()).collect()
    }
}

/// The source of a record, as its key tells: all keys of the inventory topics begin with it.
fn source(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(traffic: &Traffic, name: &str, count: u32) {
        let key = format!("{name}/host/h-1");
        (0..count).for_each(|_| {
            traffic.is_quiet(key.as_bytes());
        });
    }

    /// Who is loud when these have sent so many records while the lane has applied as many.
    fn loud(sent: &[(&str, u32)], applied: i64) -> Vec<String> {
        let traffic = Traffic::default();
        traffic.fade(applied);
        sent.iter().for_each(|(name, count)| send(&traffic, name, *count));
        let loud = traffic.counts().loud();
        let mut names: Vec<String> =
            loud.iter().map(|source| String::from_utf8_lossy(source).into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn whoever_floods_is_loud_and_all_others_are_not() {
        let sent = [("flood", 9_000), ("a", 100), ("b", 200), ("c", 1)];
        assert_eq!(loud(&sent, 0), ["flood"]);
    }

    #[test]
    fn the_quiet_ones_are_never_most_of_the_work() {
        assert_eq!(loud(&[("only", 5_000)], 5_000), ["only"]);
        assert_eq!(loud(&[("a", 5_000), ("b", 5_000)], 10_000), ["a", "b"]);
        let equal: Vec<String> = (0..100).map(|number| format!("s{number:02}")).collect();
        let equal: Vec<(&str, u32)> = equal.iter().map(|name| (name.as_str(), 70)).collect();
        assert_eq!(loud(&equal, 7_000).len(), 75);
    }

    #[test]
    fn the_backlog_of_a_flood_that_has_ended_makes_nobody_loud() {
        assert_eq!(loud(&[("a", 1_000), ("b", 1_000)], 8_000), [""; 0]);
    }

    #[test]
    fn a_lane_that_stands_still_makes_nobody_loud_who_sends_little() {
        assert_eq!(loud(&[("a", 500), ("b", 400)], 0), [""; 0]);
        assert_eq!(loud(&[("a", 5_000), ("b", 400)], 0), ["a"]);
    }

    #[test]
    fn what_is_long_ago_counts_for_nothing() {
        let traffic = Traffic::default();
        send(&traffic, "was-loud", 2 * JUDGE_EVERY - 1);
        assert!(!traffic.is_quiet(b"was-loud/host"));
        (0..20).for_each(|_| traffic.fade(0));
        send(&traffic, "is-loud", 2 * JUDGE_EVERY);
        assert!(traffic.is_quiet(b"was-loud") && !traffic.is_quiet(b"is-loud"));
    }
}
