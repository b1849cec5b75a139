//! Apache Kafka: one node, broker and controller in one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::folders;
use crate::java::java;
use crate::network::{free_port, kafka_answers, random_bytes};
use crate::process::{Lifetime, Process, run};
use crate::server::{Server, probe};

/// What the operator decides once for every Kafka of the harness.
const PROPERTIES: &str = include_str!("../config/kafka.properties");

/// Where a node listens.
#[derive(Debug, Clone, Copy)]
pub struct KafkaPorts {
    /// For clients.
    pub broker: u16,
    /// For the controllers' own traffic.
    pub controller: u16,
}

impl KafkaPorts {
    /// Two that nobody uses.
    pub(crate) fn free() -> std::io::Result<Self> {
        Ok(Self { broker: free_port(None)?, controller: free_port(None)? })
    }
}

/// A broker.
pub struct Kafka {
    /// Its process.
    pub server: Server,
    folder: PathBuf,
    ports: KafkaPorts,
}

impl Kafka {
    /// Starts a broker whose data and log are in `folder`, and does not wait for it; a folder that
    /// holds no data gets a new cluster id, by which readers notice that it is another log.
    ///
    /// # Errors
    /// [`Error`] when the folder cannot be formatted or Java cannot be started.
    pub async fn launch(
        folder: &Path,
        ports: KafkaPorts,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        Self::launch_with(folder, ports, lifetime, "").await
    }

    /// With properties that overrule the usual ones.
    pub(crate) async fn launch_with(
        folder: &Path,
        ports: KafkaPorts,
        lifetime: Lifetime,
        overrides: &str,
    ) -> Result<Self, Error> {
        let folder = folders::make(folder.to_path_buf())?;
        let properties = folder.join("server.properties");
        // Of a key that is there twice, the later value counts.
        let text = settings(&folder, ports) + overrides;
        fs::write(&properties, text).map_err(Error::at(&properties))?;
        if !folder.join("data/meta.properties").exists() {
            format(&folder, &properties).await?;
        }
        let mut command = kafka(&folder)?;
        command.arg("kafka.Kafka").arg(&properties);
        let process = Process::new("Kafka", command, folder.join("log"), lifetime);
        let server = Server::launch(process, probe(move || kafka_answers(ports.broker)))?;
        Ok(Self { server, folder, ports })
    }

    /// Puts another cluster behind the address: one without data, and with another id.
    ///
    /// # Errors
    /// As [`Kafka::launch`].
    pub async fn replace(&self) -> Result<(), Error> {
        self.server.stop().await;
        let data = self.folder.join("data");
        fs::remove_dir_all(&data).map_err(Error::at(&data))?;
        format(&self.folder, &self.folder.join("server.properties")).await?;
        self.server.restart().await
    }

    /// What clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.broker)
    }
}

fn settings(folder: &Path, KafkaPorts { broker, controller }: KafkaPorts) -> String {
    let data = folder.join("data").display().to_string();
    format!(
        "{PROPERTIES}\n\
         log.dirs={data}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{broker}\n"
    )
}

async fn format(folder: &Path, properties: &Path) -> Result<(), Error> {
    let mut command = kafka(folder)?;
    let cluster = cluster_id().map_err(Error::at(folder))?;
    command.args(["kafka.tools.StorageTool", "format", "-t", &cluster, "-c"]).arg(properties);
    run(command).await.map(|_printed| ())
}

/// Java with Kafka's jars.
fn kafka(folder: &Path) -> Result<Command, Error> {
    let mut command = java("kafka", "384m", folder)?;
    let logging = folders::config_file("log4j2.properties");
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(folders::part("kafka")?.join("*"));
    Ok(command)
}

/// A new cluster id: 22 characters of Kafka's URL-safe base64 (any of its letters will do but the
/// last, which holds two bits only).
fn cluster_id() -> std::io::Result<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters = random_bytes::<21>()?.map(|byte| char::from(LETTERS[usize::from(byte % 64)]));
    // A leading '-' would read as an option of the format command.
    Ok(format!("T{}A", letters[1..].iter().collect::<String>()))
}
