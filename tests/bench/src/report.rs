//! The figures for people, programs and the repository.

use crate::decode::{Decoder, Decoding};
use crate::freshness::Freshness;
use crate::trial::{Contender, Trial};
use crate::workload::Workload;
use serde::Serialize;

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

const DECODING: [&str; 6] =
    ["record", "who", "records/s", "median turn", "Tributary is", "by the medians"];

const DELAYS: [&str; 5] = ["who", "while", "sent per s", "p50 ms", "p99 ms"];

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    records: u64,
    rounds: u32,
    decoding: Vec<Decoding>,
    trials: Vec<Trial>,
    freshness: Vec<Freshness>,
}

/// What a contender's runs at a workload say together.
struct Summary {
    workload: Workload,
    contender: Contender,
    rate: f64,
    slowest: f64,
    client_cpu: f64,
    postgres_cpu: f64,
    peak_mib: Option<f64>,
    wal_bytes: f64,
    is_disturbed: bool,
}

impl Report {
    /// Of so many records in each run, and so many runs of each contender.
    #[must_use]
    pub const fn new(
        (records, rounds): (u64, u32),
        decoding: Vec<Decoding>,
        trials: Vec<Trial>,
        freshness: Vec<Freshness>,
    ) -> Self {
        Self { records, rounds, decoding, trials, freshness }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let tables = [
            (THROUGHPUT.map(str::to_owned).to_vec(), self.throughput()),
            (DELAYS.map(str::to_owned).to_vec(), self.delays()),
            (DECODING.map(str::to_owned).to_vec(), self.decoding()),
        ];
        let tables = tables.iter().filter(|(_, rows)| !rows.is_empty());
        let tables: Vec<String> = tables.map(|(head, rows)| padded(head, rows)).collect();
        format!("{}\n\n{}", tables.join("\n\n"), "* all runs were disturbed by other processes")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and names are always JSON")
    }

    /// For the repository.
    #[must_use]
    pub fn markdown(&self) -> String {
        MARKDOWN
            .replace("{records}", &thousands(self.records as f64))
            .replace("{rounds}", &self.rounds.to_string())
            .replace("{throughput}", &piped(&THROUGHPUT, &self.throughput()))
            .replace("{freshness}", &piped(&DELAYS, &self.delays()))
            .replace("{decoding}", &piped(&DECODING, &self.decoding()))
    }

    fn throughput(&self) -> Vec<Vec<String>> {
        let summaries = self.summaries();
        let row = |summary: &Summary| {
            let ours = summaries
                .iter()
                .find(|s| s.workload == summary.workload && s.contender == Contender::Ours);
            let ratio = match ours {
                Some(ours) if summary.contender != Contender::Ours => {
                    format!("{:.2} x", ours.rate / summary.rate)
                }
                _ => String::new(),
            };
            let mark = if summary.is_disturbed { " *" } else { "" };
            vec![
                summary.workload.title().to_owned(),
                summary.contender.title().to_owned(),
                format!("{}{mark}", thousands(summary.rate)),
                thousands(summary.slowest),
                ratio,
                format!("{:.1}", summary.client_cpu),
                format!("{:.1}", summary.postgres_cpu),
                summary.peak_mib.map(thousands).unwrap_or_default(),
                format!("{:.1}", summary.wal_bytes),
            ]
        };
        summaries.iter().map(row).collect()
    }

    fn decoding(&self) -> Vec<Vec<String>> {
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
        self.decoding.iter().map(row).collect()
    }

    fn delays(&self) -> Vec<Vec<String>> {
        let row = |found: &Freshness| {
            vec![
                found.contender.title().to_owned(),
                if found.flooded { "a snapshot is applied" } else { "nothing else comes" }
                    .to_owned(),
                thousands(found.rate),
                format!("{:.1}", found.p50_ms),
                format!("{:.1}", found.p99_ms),
            ]
        };
        self.freshness.iter().map(row).collect()
    }

    /// One for each contender and workload, in the order of their first runs.
    fn summaries(&self) -> Vec<Summary> {
        let mut pairs: Vec<(Workload, Contender)> = Vec::new();
        for trial in &self.trials {
            if !pairs.contains(&(trial.workload, trial.contender)) {
                pairs.push((trial.workload, trial.contender));
            }
        }
        pairs.into_iter().map(|pair| self.summary(pair)).collect()
    }

    /// Disturbed runs count only where there are no others.
    fn summary(&self, (workload, contender): (Workload, Contender)) -> Summary {
        let is_of = |t: &&Trial| t.workload == workload && t.contender == contender;
        let all: Vec<&Trial> = self.trials.iter().filter(is_of).collect();
        let calm: Vec<&Trial> = all.iter().copied().filter(|t| !t.is_disturbed()).collect();
        let is_disturbed = calm.is_empty();
        let runs = if is_disturbed { all } else { calm };
        let of = |value: fn(&Trial) -> f64| median(runs.iter().map(|trial| value(trial)).collect());
        let peaks: Vec<f64> = runs.iter().filter_map(|trial| trial.peak_mib).collect();
        Summary {
            workload,
            contender,
            rate: of(|trial| trial.rate),
            slowest: runs.iter().map(|trial| trial.rate).fold(f64::INFINITY, f64::min),
            client_cpu: of(|trial| trial.client_cpu),
            postgres_cpu: of(|trial| trial.postgres_cpu),
            peak_mib: (!peaks.is_empty()).then(|| median(peaks)),
            wal_bytes: of(|trial| trial.wal_bytes),
            is_disturbed,
        }
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Whole, with a comma before each three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn padded(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str());
        let cells = cells.chain([head[column].as_str()]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let line = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = std::iter::once(line(head)).chain(rows.iter().map(|row| line(row)));
    lines.collect::<Vec<_>>().join("\n")
}

fn piped(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
    let rule = head.iter().enumerate().map(|(column, _)| if column < 2 { "---" } else { "--:" });
    let mut lines = vec![line(head.to_vec()), line(rule.collect())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let head = ["a", "b", "c"].map(str::to_owned);
        let rows = vec![["long", "x", "1"].map(str::to_owned).to_vec()];
        assert_eq!(padded(&head, &rows), "a     b  c\nlong  x  1");
    }
}
