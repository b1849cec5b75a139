//! Storms: more events of one type and subject than a minute may have are counted, not kept.
//!
//! Which events are too many is decided by what this connection has seen, so after a restart a
//! minute may get some rows more. That the total is exact does not depend on it: an event that is
//! only counted leaves its key in `events.storm_member`, one that is kept has it in
//! `events.event_all`, and an event is added or counted only if its key is in neither. So it is
//! read again, sent again or read from another log without effect.

use crate::batch::{Happened, Numbered};
use records::history::Event;
use std::collections::HashMap;

/// The most groups that are remembered; then counting begins anew.
const GROUPS_MAX: usize = 100_000;

const MINUTE_MICROS: i64 = 60_000_000;

/// How many events of each source, type, subject and minute were seen.
#[derive(Debug, Default)]
pub(crate) struct Storms {
    per_minute: u32,
    seen: HashMap<String, u32>,
}

impl Storms {
    /// At most so many of a minute are kept; 0: all.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, seen: HashMap::new() }
    }

    /// Marks the events that are only counted.
    pub(crate) fn mark(&mut self, events: &mut [Numbered<Happened>]) {
        if self.per_minute == 0 {
            return;
        }
        if self.seen.len() > GROUPS_MAX {
            self.seen.clear();
        }
        for event in events {
            let seen = self.seen.entry(group(event.record.event.get())).or_default();
            *seen = seen.saturating_add(1);
            event.record.is_counted = *seen > self.per_minute;
        }
    }
}

/// No name has a NUL character.
fn group(event: &Event) -> String {
    let minute = event.occurred_at.div_euclid(MINUTE_MICROS).to_string();
    let subject = event.subject.as_ref();
    let subject = subject.map_or(("", ""), |of| (of.entity_type.as_str(), of.native_id.as_str()));
    [&event.source, &event.event_type, subject.0, subject.1, &minute].join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::history::{Object, Severity};

    fn happened(subject: Option<&str>, occurred_at: i64) -> Numbered<Happened> {
        let object = |id: &str| Object { entity_type: "host".into(), native_id: id.into() };
        let event = Event {
            source: "vc1".into(),
            event_id: "7".into(),
            event_type: "Booted".into(),
            occurred_at,
            severity: Severity::Info,
            subject: subject.map(object),
            related: Vec::new(),
            message: String::new(),
            details: [].into(),
        };
        let event = event.validate().unwrap();
        Numbered { origin: 0, record: Happened { event, is_counted: false } }
    }

    fn counted(per_minute: u32, mut events: Vec<Numbered<Happened>>) -> Vec<bool> {
        Storms::new(per_minute).mark(&mut events);
        events.iter().map(|one| one.record.is_counted).collect()
    }

    #[test]
    fn every_subject_and_every_minute_has_a_storm_of_its_own() {
        let events = || {
            let at = |minute: i64| minute * MINUTE_MICROS;
            let subjects = [(Some("a"), at(1)), (Some("a"), at(1) + 7), (Some("b"), at(1))];
            let others = [(None, at(1)), (Some("a"), at(2)), (Some("a"), at(1) + 9)];
            subjects.into_iter().chain(others).map(|(id, at)| happened(id, at)).collect()
        };
        assert_eq!(counted(1, events()), [false, true, false, false, false, true]);
        assert_eq!(counted(2, events()), [false, false, false, false, false, true]);
        assert_eq!(counted(0, events()), [false; 6]);
    }
}
