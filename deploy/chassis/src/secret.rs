//! A text that never shows itself in logs, errors or debug output.

use serde::de::{Deserialize, Deserializer, Error};
use std::fmt;
use std::path::Path;

/// A password, a token, or a URL that contains one.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the client that needs it, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The contents of a file without the line ends after them; the error says what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            format!("can't read the file {path} ({error}); create it readable for this program")
        })?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(format!("the file {} is empty; write the secret into it", path.display())),
            secret => Ok(Self::new(secret)),
        }
    }
}

/// What it finds instead of a text, it does not show: a number may well be the password.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self).map_err(|_| D::Error::custom("this is not a text; put it into quotes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_hides_itself_and_loses_only_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " pass word \r\n").unwrap();
        let secret = Secret::read(file.path()).unwrap();
        assert_eq!(secret.expose(), " pass word ");
        assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
    }

    #[test]
    fn a_secret_that_is_no_text_is_not_shown() {
        let error = serde_json::from_value::<Secret>(1234.into()).unwrap_err().to_string();
        assert_eq!(error, "this is not a text; put it into quotes");
    }

    #[test]
    fn an_empty_or_missing_file_is_refused_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Secret::read(file.path()).unwrap_err().contains("write the secret into it"));
        assert!(Secret::read(Path::new("/nowhere")).unwrap_err().contains("create it"));
    }
}
