//! What was compared and what differs, as people and programs read it.

use super::listing::Listing;
use crate::time;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most differences that are told one by one; all are counted.
const TOLD_MAX: usize = 1_000;

/// How a row differs from the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The listing has it, and the table has no living row.
    Missing,
    /// The table has it, and the listing has not.
    Extra,
    /// These attributes have another value.
    Differs(Vec<String>),
}

impl Drift {
    const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Differs(_) => "differs",
        }
    }

    fn attributes(&self) -> &[String] {
        match self {
            Self::Differs(attributes) => attributes,
            Self::Missing | Self::Extra => &[],
        }
    }
}

/// What was compared of a type.
#[derive(Debug, Default)]
struct Summary {
    listed_at: String,
    objects: usize,
    compared: usize,
    without_record: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    types: BTreeMap<String, Summary>,
    told: Vec<(String, String, Drift)>,
    /// How many rows differ.
    pub drifted: u64,
}

impl Verified {
    pub(super) fn add(&mut self, entity_type: &str, native_id: String, drift: Drift) {
        self.drifted += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((entity_type.to_owned(), native_id, drift));
        }
    }

    pub(super) fn compared(&mut self, entity_type: &str, objects: usize) {
        self.types.entry(entity_type.to_owned()).or_default().compared += objects;
    }

    pub(super) fn summarize(&mut self, entity_type: &str, listing: &Listing) {
        let summary = self.types.entry(entity_type.to_owned()).or_default();
        summary.listed_at = time::text(listing.version);
        summary.objects = listing.keys.len();
        summary.without_record = listing.keys.values().filter(|has_record| !**has_record).count();
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (entity_type, id, drift) in &self.told {
            let attributes = drift.attributes().join(", ");
            writeln!(text, "{:8} {entity_type} {id}  {attributes}", drift.name())
                .expect("a String takes all");
        }
        for (name, summary) in &self.types {
            let Summary { listed_at, objects, compared, without_record } = summary;
            let lost = match without_record {
                0 => String::new(),
                lost => format!("; the records of {lost} are not in the topic"),
            };
            writeln!(
                text,
                "{name}: listed at {listed_at}, {objects} objects, {compared} compared{lost}"
            )
            .expect("a String takes all");
        }
        writeln!(text, "{} rows differ", self.drifted).expect("a String takes all");
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let drift = |(entity_type, id, drift): &(String, String, Drift)| {
            json!({
                "type": entity_type, "native_id": id, "drift": drift.name(),
                "attributes": drift.attributes(),
            })
        };
        let of_type = |(name, summary): (&String, &Summary)| {
            json!({
                "type": name, "listed_at": summary.listed_at, "objects": summary.objects,
                "compared": summary.compared, "without_record": summary.without_record,
            })
        };
        json!({
            "types": self.types.iter().map(of_type).collect::<Vec<_>>(),
            "drift": self.told.iter().map(drift).collect::<Vec<_>>(),
            "drifted": self.drifted,
        })
    }
}
