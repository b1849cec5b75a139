//! The figures for people, programs and the repository.

use crate::freshness::{Beside, Freshness};
use crate::growth::Growth;
use crate::recovery;
use crate::summary::{Summary, median};
use crate::table::{Table, thousands};
use crate::trial::{Contender, Trial};
use decoding::{Decoder, Decoding};
use serde::Serialize;
use workloads::Workload;

/// Method and limits, around the tables.
const MARKDOWN: &str = include_str!("report.md");

const THROUGHPUT: [&str; 9] = [
    "workload",
    "who",
    "records/s",
    "slowest run",
    "Tributary is",
    "client CPU s per M",
    "PostgreSQL CPU s per M",
    "peak MiB",
    "WAL B per record",
];

const METRICS: [&str; 9] = [
    "workload",
    "who",
    "samples/s",
    "slowest run",
    "Tributary is",
    "client CPU s per M",
    "PostgreSQL CPU s per M",
    "peak MiB",
    "WAL B per sample",
];

const DECODING: [&str; 6] =
    ["record", "who", "records/s", "median turn", "Tributary is", "by the medians"];

const RECOVERY: [&str; 5] = ["who", "what", "median s", "worst s", "aim s"];

const GROWTH: [&str; 9] = [
    "workload",
    "who",
    "sources",
    "rows in the table",
    "records/s",
    "slowest run",
    "ratio",
    "peak MiB",
    "WAL B per record",
];

const DELAYS: [&str; 7] =
    ["who", "while", "sent per s", "p50 ms", "p99 ms", "flood per s", "of it left at its end"];

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Records of each workload.
    pub records: u64,
    /// Runs of each contender.
    pub rounds: u32,
    /// Our decoder and others.
    pub decoding: Vec<Decoding>,
    /// Workloads.
    pub throughput: Vec<Race>,
    /// Samples instead of records.
    pub metrics: Vec<Trial>,
    /// Seconds from each kill to the next commit.
    pub recovery: Vec<f64>,
    /// Tables of different size.
    pub growth: Vec<Growth>,
    /// How long live changes take.
    pub freshness: Vec<Freshness>,
}

/// The runs of all contenders at a workload.
#[derive(Debug, Serialize)]
pub struct Race {
    /// The workload.
    pub workload: Workload,
    /// The runs.
    pub trials: Vec<Trial>,
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let tables = self.tables().into_iter().filter_map(|(_, table)| table.text());
        let mut text = tables.collect::<Vec<_>>().join("\n\n");
        if text.contains(" *") {
            text.push_str("\n\n* all runs were disturbed by other processes");
        }
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and names are always JSON")
    }

    /// For the repository.
    #[must_use]
    pub fn markdown(&self) -> String {
        let text = MARKDOWN
            .replace("{records}", &thousands(self.records as f64))
            .replace("{rounds}", &self.rounds.to_string());
        let tables = self.tables().into_iter();
        tables.fold(text, |text, (place, table)| text.replace(place, &table.markdown()))
    }

    /// Each with its place in the page.
    fn tables(&self) -> [(&'static str, Table); 6] {
        [
            ("{throughput}", self.throughput()),
            ("{metrics}", Table::new(&METRICS, race("samples of counters", &self.metrics))),
            ("{recovery}", self.recovery()),
            ("{growth}", self.growth()),
            ("{freshness}", self.delays()),
            ("{decoding}", self.decoding()),
        ]
    }

    fn throughput(&self) -> Table {
        let races = self.throughput.iter();
        Table::new(&THROUGHPUT, races.flat_map(|of| race(of.workload.title(), &of.trials)))
    }

    fn recovery(&self) -> Table {
        let killed = (!self.recovery.is_empty()).then(|| {
            vec![
                Contender::Ours.title().to_owned(),
                format!("killed and started again, {} times", self.recovery.len()),
                format!("{:.2}", median(self.recovery.clone())),
                format!("{:.2}", self.recovery.iter().copied().fold(0.0, f64::max)),
                format!("{:.2}", recovery::AIM_SECONDS),
            ]
        });
        Table::new(&RECOVERY, killed.into_iter())
    }

    fn growth(&self) -> Table {
        let row = |found: &Growth, summary: &Summary| {
            let base = self.growth.iter().find(|other| found.compares_with(other));
            let base = base.map(|base| Summary::of(summary.contender, &base.trials).rate);
            vec![
                found.workload.title().to_owned(),
                summary.contender.title().to_owned(),
                thousands(found.sources as f64),
                thousands(found.rows as f64),
                summary.marked_rate(),
                thousands(summary.slowest),
                base.map(|base| format!("{:.2} x", summary.rate / base)).unwrap_or_default(),
                summary.peak_mib.map(thousands).unwrap_or_default(),
                format!("{:.1}", summary.wal_bytes),
            ]
        };
        let rows = |found: &Growth| -> Vec<_> {
            Summary::each(&found.trials).iter().map(|summary| row(found, summary)).collect()
        };
        Table::new(&GROWTH, self.growth.iter().flat_map(rows))
    }

    fn decoding(&self) -> Table {
        let row = |found: &Decoding| {
            let is_ours = |d: &&Decoding| d.decoder == Decoder::Ours && d.partial == found.partial;
            let ours = self.decoding.iter().find(is_ours);
            let ours = ours.filter(|_| found.decoder != Decoder::Ours);
            let ratio = |ns: fn(&Decoding) -> f64| {
                ours.map(|ours| format!("{:.1} x", ns(found) / ns(ours))).unwrap_or_default()
            };
            vec![
                if found.partial { "2 of 20 attributes" } else { "20 attributes" }.to_owned(),
                found.decoder.title().to_owned(),
                thousands(1e9 / found.fastest_ns),
                thousands(1e9 / found.median_ns),
                ratio(|decoding| decoding.fastest_ns),
                ratio(|decoding| decoding.median_ns),
            ]
        };
        Table::new(&DECODING, self.decoding.iter().map(row))
    }

    fn delays(&self) -> Table {
        let row = |found: &Freshness| {
            let flood = match found.beside {
                Beside::Flood(flood) | Beside::Divided(Some(flood)) => Some(flood),
                Beside::Nothing | Beside::Snapshot | Beside::Divided(None) => None,
            };
            vec![
                found.contender.title().to_owned(),
                found.beside.title().to_owned(),
                thousands(found.rate),
                format!("{:.1}", found.p50_ms),
                format!("{:.1}", found.p99_ms),
                flood.map(|flood| thousands(flood.rate)).unwrap_or_default(),
                flood.map(|flood| thousands(flood.left as f64)).unwrap_or_default(),
            ]
        };
        Table::new(&DELAYS, self.freshness.iter().map(row))
    }
}

/// A row for each contender.
fn race(title: &str, trials: &[Trial]) -> impl Iterator<Item = Vec<String>> {
    let all = Summary::each(trials);
    let row = |one: &Summary| [vec![title.to_owned()], one.cells(&all)].concat();
    all.iter().map(row).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_place_in_the_page() {
        let report = Report::default();
        assert!(report.tables().iter().all(|(place, _)| MARKDOWN.contains(place)));
        assert!(!report.markdown().contains('{'));
    }
}
