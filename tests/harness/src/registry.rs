//! The schema registry: Apicurio, through its Confluent-compatible API.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::folders;
use crate::java::java;
use crate::network::http_answers;
use crate::process::{Lifetime, Process};
use crate::server::{Server, probe};

const API: &str = "/apis/ccompat/v7";

/// A registry. Its data are an H2 file beside its log, so that ids survive a `kill -9` and depend
/// on no other part.
pub struct Registry {
    /// Its process.
    pub server: Server,
    port: u16,
    folder: PathBuf,
}

impl Registry {
    /// Starts a registry whose data and log are in `folder`, and does not wait for it.
    ///
    /// # Errors
    /// [`Error`] when the folder cannot be made or Java cannot be started.
    pub fn launch(folder: &Path, port: u16, lifetime: Lifetime) -> Result<Self, Error> {
        let folder = folders::make(folder.to_path_buf())?;
        let mut command = java("registry", "256m", &folder)?;
        command.arg("-Dquarkus.http.host=127.0.0.1").arg(format!("-Dquarkus.http.port={port}"));
        command.args(["-Dapicurio.storage.kind=sql", "-Dapicurio.storage.sql.kind=h2"]);
        // Without the delay of half a second by which H2 writes later than it answers.
        let data = format!("jdbc:h2:file:{};WRITE_DELAY=0", folder.join("data").display());
        command.arg(format!("-Dapicurio.datasource.url={data}"));
        command.arg("-jar").arg(application()?);
        let process = Process::new("the registry", command, folder.join("log"), lifetime);
        let server = Server::launch(process, probe(move || answers(port)))?;
        Ok(Self { server, port, folder })
    }

    /// Starts it again at the same address without anything that it knew, like one that is
    /// installed anew: it begins to give its ids from the first one on.
    ///
    /// # Errors
    /// As [`Server::ready`].
    pub async fn restart_empty(&self) -> Result<(), Error> {
        self.server.kill();
        let data = self.folder.join("data.mv.db");
        std::fs::remove_file(&data).map_err(Error::at(&data))?;
        self.server.restart().await
    }

    /// The URL of its Confluent-compatible API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }
}

async fn answers(port: u16) -> std::io::Result<()> {
    http_answers(port, &format!("{API}/subjects")).await
}

fn application() -> Result<std::path::PathBuf, Error> {
    let folder = folders::part("registry")?;
    let files = std::fs::read_dir(&folder).map_err(Error::at(&folder))?;
    let mut files = files.flatten().map(|file| file.path());
    let runner = files.find(|file| file.to_string_lossy().ends_with("-runner.jar"));
    runner.ok_or_else(|| Error::NotSetUp(folder.join("*-runner.jar")))
}
