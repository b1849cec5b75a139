//! What was done, part by part, for people and for programs.

use chassis::ExitKind;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;

/// What was done for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was as it should be.
    Unchanged,
    /// It is now, and how.
    Changed(String),
    /// It was left alone, and what a person can do.
    Skipped(String),
    /// It could not be done.
    Failed {
        /// Why, and the remedy.
        reason: String,
        /// Only a person can mend it.
        is_final: bool,
    },
}

/// One thing: a topic, a schema, a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its kind.
    pub part: &'static str,
    /// Its name.
    pub name: String,
    /// What was done.
    pub outcome: Outcome,
}

/// Everything that was done, in order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    lines: Vec<Line>,
}

/// Parts that could not be applied; their lines say why.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} parts could not be applied; each says above what to do")]
pub struct Unfinished {
    failed: usize,
    all: usize,
    is_final: bool,
}

impl ExitKind for Unfinished {
    fn is_final(&self) -> bool {
        self.is_final
    }
}

impl Report {
    /// Adds a line.
    pub fn add(&mut self, part: &'static str, name: impl Into<String>, outcome: Outcome) {
        self.lines.push(Line { part, name: name.into(), outcome });
    }

    /// Adds a line about something that was changed (`Some`: how) or not.
    pub fn changed(&mut self, part: &'static str, name: &str, change: Option<String>) {
        self.add(part, name, change.map_or(Outcome::Unchanged, Outcome::Changed));
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether all could be applied.
    ///
    /// # Errors
    /// [`Unfinished`]; a single failure that only a person can mend makes it final.
    pub fn conclude(&self) -> Result<(), Unfinished> {
        let failures: Vec<bool> = self
            .lines
            .iter()
            .filter_map(|line| match line.outcome {
                Outcome::Failed { is_final, .. } => Some(is_final),
                _ => None,
            })
            .collect();
        if failures.is_empty() {
            return Ok(());
        }
        let is_final = failures.contains(&true);
        Err(Unfinished { failed: failures.len(), all: self.lines.len(), is_final })
    }

    /// One object per line: part, name, outcome and detail.
    #[must_use]
    pub fn json(&self) -> Value {
        let line = |line: &Line| {
            let (outcome, detail) = line.outcome.words();
            json!({"part": line.part, "name": line.name, "outcome": outcome, "detail": detail})
        };
        self.lines.iter().map(line).collect()
    }
}

impl Outcome {
    /// A failure, with what caused it.
    pub fn failed(error: &dyn Error, is_final: bool) -> Self {
        Self::Failed { reason: chassis::exit::chain(error), is_final }
    }

    fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Unchanged => ("unchanged", None),
            Self::Changed(how) => ("changed", Some(how)),
            Self::Skipped(why) => ("skipped", Some(why)),
            Self::Failed { reason, .. } => ("failed", Some(reason)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|line| line.name.len()).max().unwrap_or_default();
        for line in &self.lines {
            let (outcome, detail) = line.outcome.words();
            let text = format!(
                "{:<9}  {:<width$}  {outcome:<9}  {}",
                line.part,
                line.name,
                detail.unwrap_or_default()
            );
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_failure_makes_all_final() {
        let mut report = Report::default();
        report.changed("topic", "t", None);
        assert!(report.conclude().is_ok());
        let error = std::io::Error::other("down");
        report.add("schema", "s", Outcome::failed(&error, false));
        assert!(!report.conclude().unwrap_err().is_final());
        report.add("table", "x", Outcome::failed(&error, true));
        let unfinished = report.conclude().unwrap_err();
        assert!(unfinished.is_final());
        assert!(unfinished.to_string().starts_with("2 of 3"), "{unfinished}");
        assert_eq!(report.json()[1]["detail"], "down");
        assert!(report.to_string().starts_with("topic      t  unchanged\n"), "{report}");
    }
}
