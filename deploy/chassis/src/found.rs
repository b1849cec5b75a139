//! One value of a document, taken as what its reader wants.

use crate::yaml;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// A value and how to take it.
pub(crate) struct Found<'a> {
    pub(crate) value: &'a Value,
    pub(crate) from_environment: bool,
}

impl Found<'_> {
    /// From the environment, what can't be taken as a text is taken as YAML.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, String> {
        let result = T::deserialize(self.value);
        let text = self.value.as_str().filter(|_| self.from_environment && result.is_err());
        match text.and_then(|text| yaml::value(text).ok()) {
            Some(parsed) => T::deserialize(&parsed).map_err(|error| expectation(&error, &parsed)),
            None => result.map_err(|error| expectation(&error, self.value)),
        }
    }

    pub(crate) fn duration(&self) -> Result<Duration, String> {
        self.value.as_str().and_then(parse_duration).ok_or_else(|| {
            let found = self.value;
            format!("expected a duration such as 250ms, 3s, 5m, 24h or 7d, found {found}")
        })
    }
}

/// What was expected, in words of people instead of Rust's.
fn expectation(error: &serde_json::Error, found: &Value) -> String {
    let message = error.to_string();
    let serdes_own = ["invalid type", "invalid value", "unknown variant"];
    let Some((_, expected)) = message.rsplit_once("expected ") else { return message };
    if !serdes_own.iter().any(|start| message.starts_with(start)) {
        return message;
    }
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from zero up",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "a text",
        "a sequence" => "a list",
        "a map" => "a mapping of keys",
        nonzero if nonzero.starts_with("a nonzero u") => "a positive number",
        other => other,
    };
    format!("expected {expected}, found {found}")
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(milliseconds).map(Duration::from_millis)
}
