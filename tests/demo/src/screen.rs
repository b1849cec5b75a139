//! The table that is drawn again and again: in place on a terminal, else a line for each change.

use crate::print;
use std::fmt::Write;
use std::io::IsTerminal;

/// One moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Each entity type.
    pub types: Vec<TypeLine>,
    /// Records that wait on Kafka, live and snapshot; unknown while no persister tells.
    pub lag: Option<(u64, u64)>,
    /// What each worker does, in words.
    pub workers: Vec<String>,
}

/// The rows of one entity type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeLine {
    /// Which one.
    pub entity_type: &'static str,
    /// Rows that are shown.
    pub rows: i64,
    /// Objects that the vCenter holds.
    pub objects: usize,
    /// Since the newest change was committed.
    pub newest_change_seconds: Option<f64>,
}

/// Where snapshots are shown.
pub struct Screen {
    is_terminal: bool,
    /// Lines that the next snapshot draws over.
    drawn: usize,
    /// What was said last where nothing can be drawn over.
    said: String,
}

impl Screen {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self { is_terminal, drawn: 0, said: String::new() }
    }

    /// Shows a snapshot in the place of the one before.
    pub fn show(&mut self, snapshot: &Snapshot) {
        if !self.is_terminal {
            let summary = snapshot.summary();
            if summary != self.said {
                print(&summary);
                self.said = summary;
            }
            return;
        }
        let table = snapshot.table();
        // ECMA-48: cursor up so many lines, then erase to the end of the screen.
        let back =
            if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        print(&format!("{back}{table}"));
        self.drawn = table.lines().count();
    }

    /// Leaves the last snapshot where it is.
    pub fn keep(&mut self, snapshot: &Snapshot) {
        if !self.is_terminal {
            print(&snapshot.table());
        }
        self.drawn = 0;
    }
}

impl Snapshot {
    /// Whether there are as many rows as objects.
    pub fn is_complete(&self) -> bool {
        self.types.iter().all(|line| usize::try_from(line.rows) == Ok(line.objects))
    }

    fn summary(&self) -> String {
        let rows: i64 = self.types.iter().map(|line| line.rows).sum();
        let objects: usize = self.types.iter().map(|line| line.objects).sum();
        format!("rows {rows} of {objects}, {}", self.lag_words())
    }

    fn table(&self) -> String {
        let mut text =
            format!("{:<16} {:>8} {:>11}  newest change\n", "entity type", "rows", "in vCenter");
        for line in &self.types {
            let age = line
                .newest_change_seconds
                .map_or("-".to_owned(), |age| format!("{} ago", words(age)));
            writeln!(text, "{:<16} {:>8} {:>11}  {age}", line.entity_type, line.rows, line.objects)
                .expect("a String takes all");
        }
        text.push_str(&self.lag_words());
        self.workers.iter().for_each(|worker| text.extend(["\n", worker]));
        text
    }

    fn lag_words(&self) -> String {
        match self.lag {
            Some((live, snapshot)) => format!("lag: {live} live and {snapshot} snapshot records"),
            None => "lag: not known yet".to_owned(),
        }
    }
}

fn words(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_a_table() {
        let line = |entity_type, rows, newest_change_seconds| TypeLine {
            entity_type,
            rows,
            objects: 20,
            newest_change_seconds,
        };
        let mut snapshot = Snapshot {
            types: vec![line("virtual_machine", 20, Some(3.2)), line("host", 0, None)],
            lag: Some((0, 17)),
            workers: vec!["collector-vcsim: running".to_owned()],
        };
        assert_eq!(
            snapshot.table(),
            "entity type          rows  in vCenter  newest change\n\
             virtual_machine        20          20  3 s ago\n\
             host                    0          20  -\n\
             lag: 0 live and 17 snapshot records\n\
             collector-vcsim: running"
        );
        assert!(!snapshot.is_complete());
        snapshot.types[1].rows = 20;
        assert!(snapshot.is_complete());
        assert_eq!(snapshot.summary(), "rows 40 of 40, lag: 0 live and 17 snapshot records");
    }
}
