//! What a program said, for a person who reads a test's output.

use crate::Outcome;
use harness::Program;
use std::collections::BTreeMap;

/// The warnings and errors of a program, over all its starts, and how often it gave each; numbers
/// and times don't tell one from another.
///
/// # Errors
/// If its log can't be read.
pub fn complaints(program: &Program) -> Outcome<BTreeMap<String, usize>> {
    let mut complaints = BTreeMap::new();
    for line in program.output()?.lines() {
        let Some(at) = line.find(" WARN ").or_else(|| line.find("ERROR")) else { continue };
        let text = line[at..].trim().split(|c: char| c.is_ascii_digit());
        let text = text.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#");
        *complaints.entry(text).or_default() += 1;
    }
    Ok(complaints)
}
