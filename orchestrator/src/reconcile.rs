//! What to do next: from the workers that should run and those that do. Pure: no clock, no process.

use crate::worker::{Desired, Program, Worker};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A worker that was started and is not forgotten yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it runs.
    pub program: Program,
    /// What it was last started with.
    pub fingerprint: u64,
    /// What it does now.
    pub phase: Phase,
}

/// What a worker does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its process runs.
    Running,
    /// Its process has been told to end.
    Stopping,
    /// Its process has died; the next starts then.
    Waiting {
        /// The end of the back-off.
        until: Instant,
    },
    /// Only a person can mend it: it waits for a change of what it was started with.
    Held,
}

/// All workers that were started, by name.
pub type Slots = BTreeMap<String, Slot>;

/// One thing to do to the worker of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start its process.
    Start(String),
    /// Tell its process to end.
    Stop(String),
    /// It has no process and is no longer wanted.
    Forget(String),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 64: a new start can't help.
    Final,
    /// Anything else.
    Other,
}

/// What brings the workers that were started nearer to those that should run.
#[must_use]
pub fn decide(desired: &Desired, slots: &Slots, now: Instant) -> Vec<Action> {
    let starts = desired
        .iter()
        .filter(|(name, worker)| must_start(worker, slots.get(*name), now))
        .map(|(name, _)| Action::Start(name.clone()));
    let ends = slots.iter().filter_map(|(name, slot)| end(name, desired, slots, slot));
    ends.chain(starts).collect()
}

/// What becomes of a worker whose process has ended; `None`: nothing is left of it, and if it is
/// still wanted it starts at once.
#[must_use]
pub fn after(phase: Phase, ending: Ending, now: Instant, delay: Duration) -> Option<Phase> {
    match (phase, ending) {
        (Phase::Stopping, _) => None,
        (_, Ending::Final) => Some(Phase::Held),
        (_, Ending::Other) => Some(Phase::Waiting { until: now + delay }),
    }
}

fn must_start(worker: &Worker, slot: Option<&Slot>, now: Instant) -> bool {
    let Some(slot) = slot else { return true };
    let changed = slot.fingerprint != worker.fingerprint;
    match slot.phase {
        Phase::Running | Phase::Stopping => false,
        Phase::Waiting { until } => changed || now >= until,
        Phase::Held => changed,
    }
}

fn end(name: &str, desired: &Desired, slots: &Slots, slot: &Slot) -> Option<Action> {
    let worker = desired.get(name);
    match slot.phase {
        Phase::Running if worker.is_some_and(|worker| worker.fingerprint != slot.fingerprint) => {
            Some(Action::Stop(name.to_owned()))
        }
        Phase::Running if worker.is_none() && !must_outlive(slot.program, desired, slots) => {
            Some(Action::Stop(name.to_owned()))
        }
        Phase::Waiting { .. } | Phase::Held if worker.is_none() => {
            Some(Action::Forget(name.to_owned()))
        }
        _ => None,
    }
}

/// Programs that come earlier in the order of stops, and have to go as well, are still there.
fn must_outlive(program: Program, desired: &Desired, slots: &Slots) -> bool {
    slots.iter().any(|(name, other)| {
        let runs = matches!(other.phase, Phase::Running | Phase::Stopping);
        runs && other.program < program && !desired.contains_key(name)
    })
}

#[cfg(test)]
mod tests;
