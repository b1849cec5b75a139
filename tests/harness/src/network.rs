//! Free ports on the loopback address, and the two requests that tell whether a server answers.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Servers get ports below the range from which the kernel takes those of outgoing connections,
/// so that none is taken between choosing it and listening on it.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 16_000;

/// How long a probe may take before the server counts as silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kafka's `ApiVersions` request, version 0, as in the protocol guide: size, api key 18, version,
/// correlation id 1, client id "x".
const API_VERSIONS: [u8; 15] = [0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 1, 0, 1, b'x'];

/// The given port if nobody listens there, else a free one chosen by chance.
pub(crate) fn free_port(wanted: Option<u16>) -> io::Result<u16> {
    if let Some(port) = wanted.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    for _ in 0..1_000 {
        let port = FIRST_PORT + u16::from_le_bytes(random_bytes()?) % PORTS;
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "1,000 ports of 127.0.0.1 were tried, all taken"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Bytes from the system's source of chance.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A password of 32 hexadecimal digits.
pub(crate) fn random_password() -> io::Result<String> {
    Ok(random_bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a Kafka broker answers: an open port is not enough, it opens long before.
pub(crate) async fn kafka_answers(port: u16) -> io::Result<()> {
    within_patience(async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(&API_VERSIONS).await?;
        stream.read_i32().await.map(|_size| ())
    })
    .await
}

/// Whether `GET path` is answered with status 200.
pub(crate) async fn http_answers(port: u16, path: &str) -> io::Result<()> {
    http_get(&format!("127.0.0.1:{port}"), path).await.map(|_body| ())
}

/// The body of the answer to `GET path` of `HOST:PORT`.
///
/// # Errors
/// If nothing answers within two seconds, or with another status than 200.
pub async fn http_get(address: &str, path: &str) -> io::Result<String> {
    within_patience(async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.lines().next().unwrap_or_default();
        if status.contains(" 200 ") {
            Ok(body.to_owned())
        } else {
            Err(io::Error::other(status.to_owned()))
        }
    })
    .await
}

/// Whether somebody listens on the port.
pub(crate) async fn port_answers(port: u16) -> io::Result<()> {
    within_patience(TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await.map(|_stream| ())
}

async fn within_patience<T>(probe: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, probe).await.unwrap_or_else(|elapsed| Err(io::Error::from(elapsed)))
}
