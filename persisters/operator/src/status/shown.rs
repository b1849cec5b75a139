//! The status as people and programs read it.

use super::{Gap, Source, Status, TopicStatus, Waiting};
use serde_json::{Value, json};
use std::fmt::Write as _;

impl Status {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (title, lines) in self.sections() {
            writeln!(text, "{title}").expect("a String takes all");
            let lines = if lines.is_empty() { vec!["none".to_owned()] } else { lines };
            for line in lines {
                writeln!(text, "  {line}").expect("a String takes all");
            }
        }
        text
    }

    fn sections(&self) -> [(&'static str, Vec<String>); 5] {
        let dead = |(class, count): (&String, &u64)| format!("{count:>9}  {class}");
        [
            ("POSITIONS", self.topics.iter().flat_map(|(name, topic)| topic.lines(name)).collect()),
            ("TYPES THAT WAIT", self.waiting.iter().map(Waiting::line).collect()),
            ("DEAD LETTERS OF THE LAST 24 HOURS", self.dead_letters.iter().map(dead).collect()),
            ("SOURCES", self.sources.iter().map(Source::line).collect()),
            ("GAPS OF THE LAST 7 DAYS", self.gaps.iter().map(Gap::line).collect()),
        ]
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "topics": self.topics.iter().map(|(name, topic)| topic.json(name)).collect::<Vec<_>>(),
            "waiting": self.waiting.iter().map(Waiting::json).collect::<Vec<_>>(),
            "dead_letters_24h": self.dead_letters,
            "sources": self.sources.iter().map(Source::json).collect::<Vec<_>>(),
            "gaps_7d": self.gaps.iter().map(Gap::json).collect::<Vec<_>>(),
        })
    }
}

impl TopicStatus {
    fn lines(&self, name: &str) -> Vec<String> {
        let worst = match self.worst {
            Some((partition, lag)) => format!(", {lag} of them in partition {partition}"),
            None => String::new(),
        };
        let (lag, speed) = (self.lag, self.records_per_second);
        let first = format!("{name}: {lag} records to apply{worst}; {speed:.0} records/s");
        let unread = self.unread_partitions;
        let unread = (unread > 0).then(|| format!("  partitions never read: {unread}"));
        let owner = |(owner, partitions): (&String, &u32)| {
            let owner = if owner.is_empty() { "nobody" } else { owner };
            format!("  partitions of {owner}: {partitions}")
        };
        let owners = self.owners.iter().map(owner);
        std::iter::once(first).chain(unread).chain(owners).collect()
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "topic": name,
            "lag": self.lag,
            "worst": self.worst.map(|(partition, lag)| json!({"partition": partition, "lag": lag})),
            "unread_partitions": self.unread_partitions,
            "owners": self.owners,
            "records_per_second": self.records_per_second,
        })
    }
}

impl Waiting {
    fn line(&self) -> String {
        format!("{} since {}: {}; {}", self.entity_type, self.since, self.reason, self.hint)
    }

    fn json(&self) -> Value {
        let Self { entity_type, reason, hint, since } = self;
        json!({"type": entity_type, "reason": reason, "hint": hint, "since": since})
    }
}

impl Source {
    fn line(&self) -> String {
        format!("{}: heard {} s ago, at {}", self.source, self.age_seconds, self.seen_at)
    }

    fn json(&self) -> Value {
        let Self { source, seen_at, age_seconds } = self;
        json!({"source": source, "seen_at": seen_at, "age_seconds": age_seconds})
    }
}

impl Gap {
    fn line(&self) -> String {
        let to = self.to_offset.map_or_else(|| "unknown".to_owned(), |to| to.to_string());
        let Self { topic, partition, from_offset: from, reason, at, .. } = self;
        format!("{at} {topic} {partition}: {from} to {to}: {reason}")
    }

    fn json(&self) -> Value {
        let Self { topic, partition, from_offset, to_offset, reason, at } = self;
        json!({
            "topic": topic, "partition": partition, "from_offset": from_offset,
            "to_offset": to_offset, "reason": reason, "at": at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn people_see_what_needs_them() {
        let text = |text: &str| text.to_owned();
        let topic = TopicStatus {
            lag: 12,
            worst: Some((3, 10)),
            unread_partitions: 1,
            owners: [(text("tributary-persister-7"), 4)].into(),
            records_per_second: 99.6,
        };
        let status = Status {
            topics: [(text("t.inventory.live"), topic)].into(),
            dead_letters: [(text("not_framed"), 2)].into(),
            waiting: vec![Waiting {
                entity_type: text("host"),
                reason: text("no right"),
                hint: text("run `schemas apply`"),
                since: text("2026-01-31T12:00:00Z"),
            }],
            ..Status::default()
        };
        expect![[r#"
            POSITIONS
              t.inventory.live: 12 records to apply, 10 of them in partition 3; 100 records/s
                partitions never read: 1
                partitions of tributary-persister-7: 4
            TYPES THAT WAIT
              host since 2026-01-31T12:00:00Z: no right; run `schemas apply`
            DEAD LETTERS OF THE LAST 24 HOURS
                      2  not_framed
            SOURCES
              none
            GAPS OF THE LAST 7 DAYS
              none
        "#]]
        .assert_eq(&status.text());
        assert_eq!(status.json()["topics"][0]["worst"]["lag"], 10);
    }
}
