//! The way from a program to the registry, on which a test can answer in the registry's place.

use crate::Outcome;
use harness::World;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a registry says of an id that it does not know.
pub const NO_SCHEMA: (u16, &str) = (404, r#"{"error_code":40403,"message":"Schema not found"}"#);

/// Hands requests on to the registry, or answers them itself.
pub struct Gate {
    address: SocketAddr,
    path: String,
    state: Arc<State>,
    _serves: JoinSet<()>,
}

#[derive(Default)]
struct State {
    answer: Mutex<Option<(u16, &'static str)>>,
    asked: AtomicUsize,
}

impl Gate {
    /// An open one before the world's registry.
    ///
    /// # Errors
    /// It can't listen.
    pub async fn start(world: &World) -> Outcome<Self> {
        let url = world.parts().registry.url();
        let (host, path) = url.trim_start_matches("http://").split_once('/').ok_or("no path")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, state) = (listener.local_addr()?, Arc::new(State::default()));
        let mut serves = JoinSet::new();
        serves.spawn(serve(listener, host.to_owned(), Arc::clone(&state)));
        Ok(Self { address, path: path.to_owned(), state, _serves: serves })
    }

    /// The URL of the registry behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.path)
    }

    /// Answers with this status and body from now on.
    pub fn answer(&self, (status, body): (u16, &'static str)) {
        *self.state.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, body));
    }

    /// Hands everything on from now on.
    pub fn open(&self) {
        *self.state.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many requests have come so far.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }
}

/// One request after the other, each on a connection of its own.
async fn serve(listener: TcpListener, host: String, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        state.asked.fetch_add(1, Ordering::Relaxed);
        let answer = *state.answer.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asked has gone away: its next request is another connection.
        let _ = one(stream, &host, answer).await;
    }
}

async fn one(stream: TcpStream, host: &str, answer: Option<(u16, &'static str)>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream).await?;
    if let Some((status, body)) = answer {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n");
        let whole = format!("{head}Connection: close\r\n\r\n{body}");
        return stream.write_all(whole.as_bytes()).await;
    }
    let mut registry = TcpStream::connect(host).await?;
    registry.write_all(&request).await?;
    copy(&mut registry, &mut stream).await?;
    Ok(())
}

/// The whole request, which asks for no other one on its connection.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if stream.read_line(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (first, others) = head.split_once("\r\n").unwrap_or((&head, ""));
    let head = format!("{first}\r\nConnection: close\r\n{others}");
    Ok([head.into_bytes(), body].concat())
}
