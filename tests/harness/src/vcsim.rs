//! The vCenter simulator: a real vCenter API (SOAP) over an inventory in memory.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::census::Census;
use crate::error::Error;
use crate::folders;
use crate::network::{port_answers, random_password};
use crate::process::{Lifetime, Process, run};
use crate::server::{Server, probe};

/// Who may log in. Not `name@domain`: those vcsim looks up in a directory of its own.
const USERNAME: &str = "collector";

/// Hosts per cluster.
const HOSTS: u32 = 4;

/// What the simulated vCenter manages. A restart brings it back as it was at the first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inventory {
    /// So many running VMs in one datacenter with two clusters; each takes 40 ms to build.
    Vms(u32),
    /// A folder that `govc object.save` wrote. VMs can be changed and destroyed in it, but not
    /// created, since the folders of its datastores are not part of it.
    Saved(PathBuf),
}

/// A simulator.
pub struct Vcsim {
    /// Its process.
    pub server: Server,
    access: Access,
}

impl Vcsim {
    /// Starts a simulator whose certificate, credentials and log are in `folder`, and does not
    /// wait for it.
    ///
    /// # Errors
    /// [`Error`] when the folder cannot be filled or the simulator cannot be started.
    pub async fn launch(
        folder: &Path,
        port: u16,
        inventory: &Inventory,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        let access = Access { folder: folders::make(folder.to_path_buf())?, port };
        access.prepare().await?;
        let mut command = Command::new(folders::part("vcenter")?.join("vcsim"));
        command.args(["-l", &format!("127.0.0.1:{port}")]).args(inventory.arguments()?);
        command.args(["-username", USERNAME, "-password", &access.password()?]);
        command.arg("-tlscert").arg(access.ca_file()).arg("-tlskey").arg(access.key_file());
        command.current_dir(folder).env("TMPDIR", access.empty_datastores()?);
        let process = Process::new("vcsim", command, folder.join("log"), lifetime);
        let asked = access.clone();
        let server = Server::launch(process, probe(move || answers(asked.clone())))?;
        Ok(Self { server, access })
    }

    /// The vCenter's URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.access.url()
    }

    /// A YAML file with `username` and `password`.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.access.credentials_file()
    }

    /// A PEM file with the certificate that the server shows: self-signed, for 127.0.0.1.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.access.ca_file()
    }

    /// Runs `govc`, the vSphere command line, against this vCenter and returns what it prints:
    /// `["vm.power", "-off", "DC0_C0_RP0_VM0"]`.
    ///
    /// # Errors
    /// [`Error::Command`] with what govc says.
    pub async fn govc(&self, arguments: &[&str]) -> Result<String, Error> {
        self.access.govc(arguments).await
    }

    /// Everything that this vCenter holds.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Govc`].
    pub async fn census(&self) -> Result<Census, Error> {
        self.access.census().await
    }
}

impl Inventory {
    fn arguments(&self) -> Result<Vec<OsString>, Error> {
        match self {
            Self::Vms(vms) => Ok(size(*vms)),
            Self::Saved(folder) => {
                // Absolute, because the simulator runs in a folder of its own.
                let folder = fs::canonicalize(folder).map_err(Error::at(folder))?;
                Ok(vec!["-load".into(), folder.into()])
            }
        }
    }
}

/// vcsim takes the number of VMs per cluster, so an odd one has to fit into one.
fn size(vms: u32) -> Vec<OsString> {
    let clusters = if vms.is_multiple_of(2) { 2 } else { 1 };
    let numbers = [
        ("-cluster", clusters),
        ("-host", HOSTS),
        ("-standalone-host", 0),
        ("-vm", vms / clusters),
    ];
    numbers.iter().flat_map(|(flag, number)| [flag.into(), number.to_string().into()]).collect()
}

/// How to reach a simulator.
#[derive(Debug, Clone)]
pub struct Access {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
}

impl Access {
    /// Everything that the vCenter holds.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Govc`].
    pub async fn census(&self) -> Result<Census, Error> {
        Census::of_vcenter(self).await
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn credentials_file(&self) -> PathBuf {
        self.folder.join("vcenter-credentials.yaml")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.join("vcsim-ca.pem")
    }

    /// What a person needs to use this vCenter, as environment variables.
    pub(crate) fn variables(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut variables = vec![
            ("VCENTER_CREDENTIALS_FILE", self.credentials_file().display().to_string()),
            ("VCENTER_CA_FILE", self.ca_file().display().to_string()),
        ];
        variables.extend(self.govc_settings()?);
        Ok(variables)
    }

    /// The settings of `govc`, as environment variables.
    fn govc_settings(&self) -> Result<Vec<(&'static str, String)>, Error> {
        Ok(vec![
            ("GOVC_URL", self.url()),
            ("GOVC_USERNAME", USERNAME.to_owned()),
            ("GOVC_PASSWORD", self.password()?),
            ("GOVC_TLS_CA_CERTS", self.ca_file().display().to_string()),
            // It would write the session to the home folder, and use it whatever the password is.
            ("GOVC_PERSIST_SESSION", "false".to_owned()),
        ])
    }

    pub(crate) async fn govc(&self, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(folders::part("vcenter")?.join("govc"));
        command.args(arguments).envs(self.govc_settings()?);
        run(command).await
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("vcsim-key.pem")
    }

    fn password(&self) -> Result<String, Error> {
        let file = self.credentials_file();
        let text = fs::read_to_string(&file).map_err(Error::at(&file))?;
        let mut lines = text.lines();
        Ok(lines.find_map(|line| line.strip_prefix("password: ")).unwrap_or_default().to_owned())
    }

    /// Makes certificate and credentials, unless an earlier start did: whoever has a copy of them
    /// can go on using it.
    async fn prepare(&self) -> Result<(), Error> {
        if !self.credentials_file().exists() {
            self.write_credentials().map_err(Error::at(&self.credentials_file()))?;
        }
        if self.ca_file().exists() {
            return Ok(());
        }
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "3650", "-subj", "/CN=vcsim"]);
        // Strict clients refuse the certificate of an authority as that of a server.
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
        command.arg("-keyout").arg(self.key_file()).arg("-out").arg(self.ca_file());
        run(command).await.map(|_printed| ())
    }

    /// Where it makes a folder per datastore, which it leaves there when killed.
    fn empty_datastores(&self) -> Result<PathBuf, Error> {
        let folder = self.folder.join("datastores");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::at(&folder))?;
        }
        folders::make(folder)
    }

    fn write_credentials(&self) -> std::io::Result<()> {
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(self.credentials_file())?;
        write!(file, "username: {USERNAME}\npassword: {}\n", random_password()?)
    }
}

/// Whether the simulator lets `govc` in, by its certificate and its credentials.
pub(crate) async fn answers(access: Access) -> Result<(), String> {
    // Much cheaper, and enough while the inventory is being built.
    port_answers(access.port).await.map_err(|error| error.to_string())?;
    access.govc(&["about"]).await.map(|_printed| ()).map_err(|error| error.to_string())
}
