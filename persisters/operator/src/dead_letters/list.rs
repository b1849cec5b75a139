//! `persister dead-letters list`.

use super::letter::{Filter, Letter, Letters, ranges};
use crate::{OperatorError, Servers, time};
use records::Version;
use records::rejection::Origin;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most characters of keys and messages for people.
const KEY_CHARS_MAX: usize = 60;
const MESSAGE_CHARS_MAX: usize = 160;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest.
    lines: BTreeMap<(Version, Origin), Line>,
    /// How many there are of each class.
    pub counts: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Line {
    class: String,
    key: String,
    message: String,
}

/// Reads the dead letters that are meant, and keeps the newest lines.
pub(crate) async fn list(
    servers: &Servers,
    filter: &Filter,
    (since, limit): (Option<&str>, usize),
) -> Result<Found, OperatorError> {
    let mut letters = Letters::read(servers, ranges(servers, since).await?, filter)?;
    let mut found = Found::default();
    while let Some(letter) = letters.next().await? {
        found.add(letter, limit);
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, letter: Letter, limit: usize) {
        *self.counts.entry(letter.class.clone()).or_default() += 1;
        let key = letter.key();
        let line = Line { class: letter.class, key, message: letter.message };
        self.lines.insert((letter.rejected_at, letter.origin), line);
        if self.lines.len() > limit {
            self.lines.pop_first();
        }
    }

    fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// For people.
    pub fn table(&self) -> String {
        let ids: Vec<String> = self.lines.keys().map(|(_, origin)| origin.to_string()).collect();
        let width = ids.iter().map(String::len).max().unwrap_or(0).max("ID".len());
        let mut text = String::new();
        if !ids.is_empty() {
            line(&mut text, width, ["ID", "CLASS", "WHEN", "KEY", "MESSAGE"]);
        }
        for (id, ((when, _), shown)) in ids.iter().zip(&self.lines) {
            let key = shortened(&shown.key, KEY_CHARS_MAX);
            let message = shortened(&shown.message, MESSAGE_CHARS_MAX);
            line(&mut text, width, [id, &shown.class, &time::text(*when), &key, &message]);
        }
        for (class, count) in &self.counts {
            writeln!(text, "{count:>9}  {class}").expect("a String takes all");
        }
        let (total, shown) = (self.total(), self.lines.len());
        writeln!(text, "{total:>9}  in all, {shown} shown").expect("a String takes all");
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let line = |((when, origin), line): (&(Version, Origin), &Line)| {
            json!({
                "id": origin.to_string(),
                "class": line.class,
                "rejected_at": time::text(*when),
                "key": line.key,
                "message": line.message,
            })
        };
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        json!({ "dead_letters": lines, "counts": self.counts, "total": self.total() })
    }
}

fn line(text: &mut String, width: usize, [id, class, when, key, message]: [&str; 5]) {
    writeln!(text, "{id:width$}  {class:19}  {when:20}  {key}  {message}")
        .expect("a String takes all");
}

/// One line, and no more characters than that.
fn shortened(text: &str, chars_max: usize) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(chars_max).map(printable).collect();
    if text.chars().nth(chars_max).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use records::{Offset, Partition};
    use wire::Scanned;

    fn letter(offset: i64, class: &str) -> Letter {
        let (partition, at) = (Partition(3), Offset(offset));
        Letter {
            origin: Origin { topic: "t.inventory.live".to_owned(), partition, offset: at },
            class: class.to_owned(),
            message: "\"name\" is not valid:\na string is not UTF-8".to_owned(),
            rejected_at: Version::from_micros(1_700_000_000_000_000 + offset),
            record: Scanned {
                partition,
                offset: at,
                key: Some(b"vc1/host/h".to_vec()),
                payload: None,
                headers: Vec::new(),
            },
        }
    }

    #[test]
    fn the_newest_are_shown_and_all_are_counted() {
        let mut found = Found::default();
        for (offset, class) in [(7, "not_framed"), (8, "invalid_record"), (9, "invalid_record")] {
            found.add(letter(offset, class), 2);
        }
        expect![[r#"
            ID                    CLASS                WHEN                  KEY  MESSAGE
            t.inventory.live/3/8  invalid_record       2023-11-14T22:13:20Z  vc1/host/h  "name" is not valid: a string is not UTF-8
            t.inventory.live/3/9  invalid_record       2023-11-14T22:13:20Z  vc1/host/h  "name" is not valid: a string is not UTF-8
                    2  invalid_record
                    1  not_framed
                    3  in all, 2 shown
        "#]]
        .assert_eq(&found.table());
        assert_eq!(found.json()["total"], 3);
        assert_eq!(found.json()["dead_letters"][0]["id"], "t.inventory.live/3/8");
    }
}
