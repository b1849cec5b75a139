//! Makes the topics of the contract.

use crate::report::{Outcome, Report};
use crate::settings::Settings;
use chassis::Fields;
use records::Topic;
use std::num::NonZeroU16;
use std::time::Duration;
use wire::{Admin, KafkaProblem, TopicOutcome, TopicSpec};

/// As many copies of each record as are usual, where there are brokers for them.
const USUAL_REPLICATION: u16 = 3;

/// How topics are made.
#[derive(Debug, Clone)]
pub struct TopicSettings {
    partitions: NonZeroU16,
    replication: Option<NonZeroU16>,
    retention: Duration,
    snapshot_retention: Duration,
    dead_letters_retention: Duration,
    dead_letters_bytes_max: u32,
}

impl TopicSettings {
    /// Reads the section `topics`.
    pub fn read(root: &mut Fields) -> Option<Self> {
        let mut fields = root.section("topics");
        let partitions = fields.required("partitions");
        let replication = fields.optional("replication");
        let retention = fields.duration("retention");
        let snapshot_retention = fields.duration("snapshot_retention");
        let dead_letters_retention = fields.duration("dead_letters_retention");
        let dead_letters_bytes_max = fields.required("dead_letters_bytes_max");
        Some(Self {
            partitions: partitions?,
            replication,
            retention: retention?,
            snapshot_retention: snapshot_retention?,
            dead_letters_retention: dead_letters_retention?,
            dead_letters_bytes_max: dead_letters_bytes_max?,
        })
    }

    fn replication(&self, brokers: usize) -> u16 {
        let brokers = u16::try_from(brokers).unwrap_or(u16::MAX).max(1);
        self.replication.map_or(USUAL_REPLICATION.min(brokers), NonZeroU16::get)
    }

    fn config(&self, topic: Topic) -> Vec<(&'static str, String)> {
        let kept = |time: Duration| {
            let retention = ("retention.ms", time.as_millis().to_string());
            vec![("cleanup.policy", "delete".to_owned()), retention]
        };
        let compacted = || vec![("cleanup.policy", "compact".to_owned())];
        match topic {
            Topic::InventoryLive | Topic::Metrics | Topic::Events => kept(self.retention),
            Topic::InventorySnapshot => kept(self.snapshot_retention),
            Topic::DeadLetters => {
                let room = ("max.message.bytes", self.dead_letters_bytes_max.to_string());
                [kept(self.dead_letters_retention), vec![room]].concat()
            }
            Topic::Checkpoints => {
                let time = ("message.timestamp.type", "LogAppendTime".to_owned());
                [compacted(), vec![time]].concat()
            }
            Topic::Control => compacted(),
        }
    }
}

/// Makes the topics that are missing.
pub async fn apply(settings: &Settings, report: &mut Report) {
    if let Err(problem) = ensure_all(settings, report).await {
        let servers = &settings.kafka.bootstrap_servers;
        report.add("topic", servers, Outcome::failed(&problem, problem.is_final()));
    }
}

/// The error is one that all topics would share.
async fn ensure_all(settings: &Settings, report: &mut Report) -> Result<(), KafkaProblem> {
    let admin = Admin::new(&settings.kafka, "tributary-schemas")?;
    let topics = &settings.topics;
    let replication = topics.replication(admin.brokers().await?);
    for topic in Topic::ALL {
        let spec = TopicSpec {
            name: settings.kafka.topic(topic),
            partitions: topics.partitions.get().into(),
            replication: replication.into(),
            config: topics.config(topic),
        };
        match admin.ensure_topic(&spec).await {
            Ok(TopicOutcome::Exists) => report.changed("topic", &spec.name, None),
            Ok(TopicOutcome::Created) => {
                let copies = if replication == 1 { "copy" } else { "copies" };
                let made = format!("{} partitions, {replication} {copies}", spec.partitions);
                report.changed("topic", &spec.name, Some(made));
            }
            Err(problem) => {
                report.add("topic", &spec.name, Outcome::failed(&problem, problem.is_final()))
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_copies_than_brokers_unless_told() {
        let mut root = chassis::load(crate::DEFAULTS, None).unwrap();
        let mut topics = TopicSettings::read(&mut root).unwrap();
        assert_eq!([1, 2, 5].map(|brokers| topics.replication(brokers)), [1, 2, 3]);
        topics.replication = NonZeroU16::new(2);
        assert_eq!(topics.replication(1), 2);
        let live = topics.config(Topic::InventoryLive);
        assert!(live.contains(&("retention.ms", "604800000".to_owned())), "{live:?}");
        assert!(live.contains(&("cleanup.policy", "delete".to_owned())), "{live:?}");
    }
}
