//! Dead letters as they are read: each origin once, however often it was sent.

use crate::{OperatorError, Servers};
use positions::rewind::parse_time;
use records::rejection::{Class, Origin, header};
use records::{Offset, Partition, Topic, Version};
use schemas::database::connect_one;
use std::collections::{HashMap, HashSet};
use wire::{Admin, LogRange, Scan, Scanned};

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Where the record was.
    pub origin: Origin,
    /// The class; a newer persister may have one that is not known here.
    pub class: String,
    /// What is wrong.
    pub message: String,
    /// When it was rejected.
    pub rejected_at: Version,
    /// The letter itself.
    pub record: Scanned,
}

impl Letter {
    /// `None`: no persister has written it.
    fn of(record: Scanned) -> Option<Self> {
        let number = |name| record.header(name)?.parse::<i64>().ok();
        let origin = Origin {
            topic: record.header(header::TOPIC)?.to_owned(),
            partition: Partition(record.header(header::PARTITION)?.parse().ok()?),
            offset: Offset(number(header::OFFSET)?),
        };
        Some(Self {
            origin,
            class: record.header(header::CLASS)?.to_owned(),
            message: record.header(header::MESSAGE).unwrap_or_default().to_owned(),
            rejected_at: number(header::REJECTED_AT).map(Version::from_micros).unwrap_or_default(),
            record,
        })
    }

    /// The key as text.
    pub fn key(&self) -> String {
        String::from_utf8_lossy(self.record.key.as_deref().unwrap_or_default()).into_owned()
    }
}

/// Which dead letters are meant.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Of this class.
    pub class: Option<Class>,
    /// Of records of the topic with this full name.
    pub topic: Option<String>,
    /// These.
    pub ids: Option<HashSet<Origin>>,
}

impl Filter {
    fn takes(&self, letter: &Letter) -> bool {
        self.class.is_none_or(|class| letter.class == class.name())
            && self.topic.as_ref().is_none_or(|topic| letter.origin.topic == *topic)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.origin))
    }
}

/// The full name of a topic that was given with or without its prefix.
pub(crate) fn full_name(servers: &Servers, name: String) -> String {
    let known = Topic::ALL.into_iter().find(|topic| topic.suffix() == name);
    known.map_or(name, |topic| servers.access.kafka.topic(topic))
}

/// What the dead-letter topic holds, or has held since a time.
pub(crate) async fn ranges(
    servers: &Servers,
    since: Option<&str>,
) -> Result<Vec<(Partition, LogRange)>, OperatorError> {
    let kafka = &servers.access.kafka;
    let topic = kafka.topic(Topic::DeadLetters);
    let admin = Admin::new(kafka, &servers.access.group)?;
    let mut ranges = admin.ranges(&topic).await?;
    if ranges.is_empty() {
        let message = format!("there is no topic {topic}; `schemas apply` makes it");
        return Err(OperatorError::Request(message));
    }
    if let Some(since) = since {
        let mut connection = connect_one(&servers.access.database).await?;
        let time_ms = parse_time(&mut connection, since).await?;
        let found: HashMap<_, _> = admin.offsets_at(&topic, time_ms).await?.into_iter().collect();
        for (partition, range) in &mut ranges {
            range.first = found.get(partition).copied().unwrap_or(range.end);
        }
    }
    Ok(ranges)
}

/// Reads dead letters; remembers of each only its origin.
pub(crate) struct Letters<'a> {
    scan: Scan,
    filter: &'a Filter,
    origins: HashSet<Origin>,
}

impl<'a> Letters<'a> {
    /// Begins to read.
    pub fn read(
        servers: &Servers,
        ranges: Vec<(Partition, LogRange)>,
        filter: &'a Filter,
    ) -> Result<Self, OperatorError> {
        let kafka = &servers.access.kafka;
        let scan = Scan::start(kafka, &kafka.topic(Topic::DeadLetters), ranges)?;
        Ok(Self { scan, filter, origins: HashSet::new() })
    }

    /// The next one that is meant.
    pub async fn next(&mut self) -> Result<Option<Letter>, OperatorError> {
        while let Some(record) = self.scan.next().await? {
            let letter = Letter::of(record).filter(|letter| self.filter.takes(letter));
            if let Some(letter) = letter
                && self.origins.insert(letter.origin.clone())
            {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }
}
