//! What a manifest of kind `vsphere` says, and the credentials that it names.

use chassis::{Fields, Secret};
use provider::ProviderError;
use reqwest::Url;
use std::path::{Path, PathBuf};

/// The `spec` of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The API's URL.
    pub url: Url,
    /// A YAML file with `username` and `password`.
    pub credentials_file: PathBuf,
    /// Whose signature on the vCenter's certificate is trusted; `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user, such as `collector@vsphere.local`.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The file that they come from.
    pub file: String,
}

impl Settings {
    /// Reads the `spec`; mistakes are told to it.
    pub fn read(spec: &mut Fields) -> Option<Self> {
        let url = spec.parsed("url", |text| url(&text));
        let credentials_file = spec.required("credentials_file");
        let ca_file = spec.optional("ca_file");
        Some(Self { url: url?, credentials_file: credentials_file?, ca_file })
    }
}

impl Credentials {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] with everything that is wrong with it.
    pub fn load(file: &Path) -> Result<Self, ProviderError> {
        Self::read(file).map_err(|mistakes| {
            let needed =
                "credentials_file must hold two lines, username: USER and password: PASSWORD";
            ProviderError::Settings(format!("{needed}; {mistakes}"))
        })
    }

    fn read(file: &Path) -> Result<Self, chassis::Mistakes> {
        let mut fields = chassis::credentials(file)?;
        let username = fields.required("username");
        let password = fields.required("password");
        fields.finish()?;
        let told = "whatever is missing has been told as a mistake";
        let file = file.display().to_string();
        Ok(Self { username: username.expect(told), password: password.expect(told), file })
    }
}

/// The password crosses the network, so only a connection to this machine may be unencrypted. What
/// is wrong is not shown as a whole: it may hold a password.
fn url(text: &str) -> Result<Url, String> {
    let expected = "expected https://HOST/sdk";
    let mut url = Url::parse(text).map_err(|error| format!("{expected} ({error})"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => return Err(format!("{expected}; http would show the password to the network")),
        scheme => return Err(format!("{expected}, found {scheme}")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{expected}; write user and password into credentials_file"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}, without ? and #"));
    }
    if url.path() == "/" {
        url.set_path("/sdk");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        let found = url(text).map(|url| url.to_string());
        expected.assert_eq(&found.unwrap_or_else(|problem| problem));
    }

    #[test]
    fn the_url_is_encrypted_and_without_secrets() {
        check("https://vc.example.com", &expect!["https://vc.example.com/sdk"]);
        check("https://vc:8443/proxied/sdk", &expect!["https://vc:8443/proxied/sdk"]);
        check("http://127.0.0.1:8989", &expect!["http://127.0.0.1:8989/sdk"]);
        check("http://[::1]/sdk", &expect!["http://[::1]/sdk"]);
        check(
            "http://vc/sdk",
            &expect!["expected https://HOST/sdk; http would show the password to the network"],
        );
        check(
            "https://me:secret@vc/sdk",
            &expect!["expected https://HOST/sdk; write user and password into credentials_file"],
        );
        check(
            "vc.example.com",
            &expect!["expected https://HOST/sdk (relative URL without a base)"],
        );
        check("ftp://vc", &expect!["expected https://HOST/sdk, found ftp"]);
        check("https://vc/sdk?x", &expect!["expected https://HOST/sdk, without ? and #"]);
    }

    #[test]
    fn credentials_count_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.yaml");
        std::fs::write(&file, "username: 'LAB\\me'\npassword: 'p${HOME}<&'\n").unwrap();
        let credentials = Credentials::load(&file).unwrap();
        assert_eq!(credentials.username, "LAB\\me");
        assert_eq!(credentials.password.expose(), "p${HOME}<&");
    }

    #[test]
    fn mistakes_in_credentials_are_told_without_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.yaml");
        std::fs::write(&file, "user: me\npassword: 4711\n").unwrap();
        let error = Credentials::load(&file).unwrap_err().to_string();
        let error = error.replace(&folder.path().display().to_string(), "DIR");
        expect![[r#"
            credentials_file must hold two lines, username: USER and password: PASSWORD; 3 mistakes:
              DIR/credentials.yaml: username: has no value; add it
              DIR/credentials.yaml: password: this is not a text; put it into quotes
              DIR/credentials.yaml: user: unknown key; correct its name or remove it"#]]
        .assert_eq(&error);
    }
}
