//! A Kafka that lets in only who knows its password, over TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::folders;
use crate::kafka::{Kafka, KafkaPorts};
use crate::network::{free_port, random_password};
use crate::process::{Lifetime, run};
use crate::world::{run_folder, unique};

/// A broker whose clients come by `SASL_SSL` and `PLAIN`. Its open listener is for the harness,
/// which asks there whether it answers.
pub struct SecuredKafka {
    /// What runs; never asked for its address, which is the open one.
    _broker: Kafka,
    port: u16,
    folder: PathBuf,
}

impl SecuredKafka {
    /// The account.
    pub const USER: &str = "tributary";

    /// Makes certificate and password, starts the broker and waits until it answers.
    ///
    /// # Errors
    /// [`Error`] when the certificate can't be made or the broker does not start.
    pub async fn start() -> Result<Self, Error> {
        let folder = folders::make(run_folder().await?.join(unique("secured-kafka")))?;
        let ports = KafkaPorts::free().map_err(Error::at(&folder))?;
        let port = free_port(None).map_err(Error::at(&folder))?;
        let password = random_password().map_err(Error::at(&folder))?;
        let file = folder.join("password");
        fs::write(&file, format!("{password}\n")).map_err(Error::at(&file))?;
        make_certificate(&folder, &password).await?;
        let properties = properties(&folder, (ports, port), &password);
        let broker = Kafka::launch_with(&folder, ports, Lifetime::Test, &properties).await?;
        broker.server.ready().await?;
        Ok(Self { _broker: broker, port, folder })
    }

    /// What clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Who signed the broker's certificate, in PEM form.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The account's password.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }
}

/// A key, and a certificate that it has signed itself.
async fn make_certificate(folder: &Path, password: &str) -> Result<(), Error> {
    let keytool = |command: &str, arguments: &[&str]| {
        let mut keytool = Command::new("keytool");
        keytool.args([command, "-alias", "broker", "-storepass", password]).args(arguments);
        keytool.args(["-keystore", "broker.p12", "-storetype", "PKCS12"]).current_dir(folder);
        keytool
    };
    let (key, name) = (["-keyalg", "EC", "-groupname", "secp256r1"], "CN=127.0.0.1");
    let subject = ["-dname", name, "-ext", "san=ip:127.0.0.1", "-validity", "30"];
    run(keytool("-genkeypair", &[&key[..], &subject[..]].concat())).await?;
    run(keytool("-exportcert", &["-rfc", "-file", "ca.pem"])).await.map(|_printed| ())
}

/// What differs from an open broker.
fn properties(folder: &Path, (ports, port): (KafkaPorts, u16), password: &str) -> String {
    let KafkaPorts { broker, controller } = ports;
    let clients = format!("PLAINTEXT://127.0.0.1:{broker},SASL_SSL://127.0.0.1:{port}");
    let key = folder.join("broker.p12").display().to_string();
    let user = SecuredKafka::USER;
    format!(
        "listeners={clients},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={clients}\n\
         listener.security.protocol.map=\
         PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL\n\
         sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl_ssl.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_{user}=\"{password}\";\n\
         ssl.keystore.type=PKCS12\n\
         ssl.keystore.location={key}\n\
         ssl.keystore.password={password}\n"
    )
}
