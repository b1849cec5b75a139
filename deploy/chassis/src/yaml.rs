//! YAML 1.2: only `true` and `false` are booleans; `no`, `on` and `off` are texts.

use serde_json::Value;
use serde_saphyr::{Options, options};

/// One document.
pub(crate) fn value(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str_with_options(text, strict()).map_err(|error| problem(&error))
}

/// Every document.
pub(crate) fn values(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple_with_options(text, strict()).map_err(|error| problem(&error))
}

fn strict() -> Options {
    options! { strict_booleans: true }
}

fn problem(error: &serde_saphyr::Error) -> String {
    format!("not valid YAML: {}", error.without_snippet())
}
