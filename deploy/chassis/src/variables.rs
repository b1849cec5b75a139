//! `${NAME}` in the texts of a manifest: the value of that environment variable.

use serde_json::Value;

/// Puts values in the place of names, and returns the names that `lookup` doesn't know: those
/// stay as they are.
pub(crate) fn substitute(
    value: &mut Value,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    match value {
        Value::String(text) => {
            let (expanded, unknown) = expand(text, lookup);
            *text = expanded;
            unknown
        }
        Value::Array(items) => items.iter_mut().flat_map(|item| substitute(item, lookup)).collect(),
        Value::Object(keys) => {
            keys.values_mut().flat_map(|value| substitute(value, lookup)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let mut parts = text.split("${");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    let mut unknown = Vec::new();
    for part in parts {
        let named = part.split_once('}');
        if let Some((value, rest)) = named.and_then(|(name, rest)| Some((lookup(name)?, rest))) {
            expanded.extend([value.as_str(), rest]);
        } else {
            unknown.extend(named.map(|(name, _)| name.to_owned()));
            expanded.extend(["${", part]);
        }
    }
    (expanded, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_become_values_and_unknown_ones_are_told() {
        let lookup = |name: &str| (name == "HOST").then(|| "vc1".to_owned());
        let mut value = json!({"url": "https://${HOST}/sdk", "list": ["${NONE}${HOST}"], "n": 1});
        assert_eq!(substitute(&mut value, &lookup), ["NONE"]);
        let expected = json!({"url": "https://vc1/sdk", "list": ["${NONE}vc1"], "n": 1});
        assert_eq!(value, expected);
    }

    #[test]
    fn other_dollars_and_braces_stay() {
        for text in ["$HOST", "{HOST}", "a ${ b", "$"] {
            assert_eq!(expand(text, &|_| None), (text.to_owned(), vec![]), "{text}");
        }
    }
}
