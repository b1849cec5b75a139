//! Figures in columns: as text, and as Markdown.

/// A table; the first two columns are names, the others numbers.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Each row has as many cells as the head.
    pub fn new(head: &[&'static str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self { head: head.to_vec(), rows: rows.collect() }
    }

    /// For people at a terminal; nothing without rows.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].as_str());
            let cells = cells.chain([self.head[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let line = |cells: &[&str]| {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let width = width(column);
                if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let lines: Vec<String> = self.lines().map(|cells| line(&cells)).collect();
        (!self.rows.is_empty()).then(|| lines.join("\n"))
    }

    /// For the repository.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[&str]| format!("| {} |", cells.join(" | "));
        let rule = |column| if column < 2 { "---" } else { "--:" };
        let rule: Vec<&str> = (0..self.head.len()).map(rule).collect();
        let mut lines: Vec<String> = self.lines().map(|cells| line(&cells)).collect();
        lines.insert(1, line(&rule));
        lines.join("\n")
    }

    fn lines(&self) -> impl Iterator<Item = Vec<&str>> {
        let rows = self.rows.iter().map(|row| row.iter().map(String::as_str).collect());
        std::iter::once(self.head.clone()).chain(rows)
    }
}

/// Whole, with a comma before each three digits.
#[must_use]
pub fn thousands(number: f64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(12.0), "12");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["long", "x", "1"].map(str::to_owned).to_vec()];
        let table = Table::new(&["a", "b", "c"], rows.into_iter());
        assert_eq!(table.text().as_deref(), Some("a     b  c\nlong  x  1"));
        assert_eq!(table.markdown(), "| a | b | c |\n| --- | --- | --: |\n| long | x | 1 |");
        assert_eq!(Table::new(&["a"], std::iter::empty()).text(), None);
    }
}
