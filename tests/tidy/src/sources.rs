//! Files of source text: their size, their form, and what must not stand in them.

use crate::Finding;

/// The most production lines of a file.
pub const FILE_LINES_MAX: usize = 400;

/// The most production lines of a crate.
pub const CRATE_LINES_MAX: usize = 3_000;

/// Nine of ten functions are at most so long.
pub const FUNCTION_LINES_P90_MAX: usize = 25;

const COLUMNS_MAX: usize = 100;
const WORDS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
const MACHINE_FOLDERS: [&str; 3] = ["/work", "/home", "/root"];

/// The files that say what is forbidden.
const THIS: &str = "tests/tidy/";

/// A text that only some Rust files may contain.
struct Ban {
    text: &'static str,
    /// Beginnings and ends of their paths.
    but_in: &'static [&'static str],
    /// Tests may do it, too.
    but_tests: bool,
    remedy: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        text: "env::var",
        but_in: &["deploy/chassis/", "tests/", "build.rs"],
        but_tests: false,
        remedy: "make it a key of the settings: only chassis reads the environment",
    },
    Ban {
        text: "var_os(",
        but_in: &["deploy/chassis/", "tests/", "build.rs"],
        but_tests: false,
        remedy: "make it a key of the settings: only chassis reads the environment",
    },
    Ban {
        text: "tokio::spawn(",
        but_in: &[THIS],
        but_tests: true,
        remedy: "spawn it in a JoinSet or TaskTracker, so that its end is noticed",
    },
    Ban {
        text: "task::spawn(",
        but_in: &[THIS],
        but_tests: true,
        remedy: "spawn it in a JoinSet or TaskTracker, so that its end is noticed",
    },
    Ban {
        text: "process::exit(",
        but_in: &["deploy/chassis/", THIS],
        but_tests: false,
        remedy: "return an error to main, so that everything is closed in order",
    },
];

/// What is not as it should be in a file of any kind.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !path.starts_with(THIS) {
        findings.extend(words(path, text));
        findings.extend(machine_paths(path, text));
    }
    if path.ends_with(".rs") {
        findings.extend(form(path, text));
        findings.extend(columns(path, text));
        findings.extend(BANS.iter().flat_map(|ban| ban.check(path, text)));
    }
    findings
}

/// A crate that has grown too large.
#[must_use]
pub fn check_crate(name: &str, production_lines: usize) -> Option<Finding> {
    let problem = format!("{production_lines} production lines, at most {CRATE_LINES_MAX}");
    let is_large = production_lines > CRATE_LINES_MAX;
    is_large.then(|| Finding::new(name, problem, "make a crate of one of its parts"))
}

/// The lines before the first `#[cfg(test)]`; none of a file of tests.
#[must_use]
pub fn production_lines(path: &str, text: &str) -> usize {
    if is_test(path) { 0 } else { text.lines().take_while(|line| !starts_tests(line)).count() }
}

/// The lines of each function; the end is known by rustfmt's indentation.
#[must_use]
pub fn function_lines(text: &str) -> Vec<usize> {
    let lines: Vec<_> = text.lines().collect();
    let length = |(start, line): (usize, &&str)| {
        let body = line.trim_start();
        let starts = ["fn ", "pub fn ", "async fn ", "const fn ", "pub async fn "];
        let scoped = ["pub const fn ", "pub(crate) fn ", "pub(crate) async fn "];
        if !starts.iter().chain(&scoped).any(|start| body.starts_with(start)) {
            return None;
        }
        if line.ends_with('}') {
            return Some(1);
        }
        let end = format!("{}}}", &line[..line.len() - body.len()]);
        lines[start..].iter().position(|line| *line == end).map(|rest| rest + 1)
    };
    lines.iter().enumerate().filter_map(length).collect()
}

/// The length that nine of ten do not exceed; 0 of none.
#[must_use]
pub fn p90(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(0)
}

/// A file of tests alone. The crates below `tests` keep the limits of all crates.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn starts_tests(line: &str) -> bool {
    line.trim_start().starts_with("#[cfg(test)]")
}

fn at(path: &str, number: usize) -> String {
    format!("{path}:{number}")
}

fn words(path: &str, text: &str) -> Vec<Finding> {
    let word_of = |line: &'_ str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.find_map(|word| WORDS.into_iter().find(|forbidden| *forbidden == word))
    };
    let found = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let problem = format!("the word {}", word_of(line)?);
        Some(Finding::new(at(path, number), problem, "do it, or say what holds until then"))
    });
    found.collect()
}

fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let found = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let folder = MACHINE_FOLDERS.into_iter().find(|folder| has_absolute(line, folder))?;
        let problem = format!("a path of one machine ({folder})");
        Some(Finding::new(at(path, number), problem, "write it relative to the project"))
    });
    found.collect()
}

/// The folder at the start of a path, not in the middle of one or of a word.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + folder.len()..].chars().next();
        let is_word = |c: char| c.is_alphanumeric() || "_-".contains(c);
        !before.is_some_and(|c| is_word(c) || "./}~)*".contains(c)) && !after.is_some_and(is_word)
    })
}

fn form(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = production_lines(path, text);
    if count > FILE_LINES_MAX {
        let problem = format!("{count} production lines, at most {FILE_LINES_MAX}");
        findings.push(Finding::new(path, problem, "make a module of one of its parts"));
    }
    if !text.starts_with("//! ") {
        let remedy = "say on the first line what the file is for: `//! ...`";
        findings.push(Finding::new(path, "no module doc", remedy));
    }
    if path.ends_with("/mod.rs") {
        let remedy = "name it like its folder, and put it beside the folder";
        findings.push(Finding::new(path, "a file mod.rs", remedy));
    }
    findings
}

/// A snapshot of expect-test is what a program wrote, so it is as wide as that.
fn columns(path: &str, text: &str) -> Vec<Finding> {
    let mut in_snapshot = false;
    let found = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let starts = line.contains("expect![[");
        let exempt = in_snapshot && !starts;
        in_snapshot = (in_snapshot || starts) && !line.contains("]]");
        let count = line.chars().count();
        let problem = format!("{count} columns, at most {COLUMNS_MAX}");
        let is_wide = count > COLUMNS_MAX && !exempt;
        is_wide.then(|| Finding::new(at(path, number), problem, "break the line"))
    });
    found.collect()
}

impl Ban {
    fn check(&self, path: &str, text: &str) -> Vec<Finding> {
        let is_free = |part: &&str| path.starts_with(part) || path.ends_with(part);
        if self.but_in.iter().any(is_free) || (self.but_tests && is_test(path)) {
            return Vec::new();
        }
        let judged = text.lines().take_while(|line| !(self.but_tests && starts_tests(line)));
        let found = (1..)
            .zip(judged)
            .filter(|(_, line)| line.contains(self.text) && !line.trim_start().starts_with("//"));
        let finding = |(number, _)| Finding::new(at(path, number), self.text, self.remedy);
        found.map(finding).collect()
    }
}

#[cfg(test)]
mod tests;
