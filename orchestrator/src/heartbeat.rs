//! Whether a child still works: it answers on its admin port, and its memory stays in bounds.

use crate::settings::HeartbeatSettings;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Returns when the child has to be restarted, with the reason.
pub async fn failure(settings: HeartbeatSettings, address_file: PathBuf, pid: u32) -> String {
    let started = Instant::now();
    let mut ticks = interval(settings.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    loop {
        ticks.tick().await;
        if let Some(reason) = too_much_memory(&settings, pid) {
            return reason;
        }
        let Ok(address) = read_address(&address_file) else {
            if started.elapsed() > settings.start_patience {
                return format!("it opened no admin port within {:?}", settings.start_patience);
            }
            continue;
        };
        let answer = timeout(settings.timeout, ask(address)).await;
        let problem = match answer {
            Ok(Ok(())) => {
                failures = 0;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", settings.timeout),
        };
        failures += 1;
        if failures >= settings.failures_max {
            return format!("http://{address}/livez failed {failures} times in a row: {problem}");
        }
    }
}

fn read_address(file: &Path) -> io::Result<SocketAddr> {
    std::fs::read_to_string(file)?.trim().parse().map_err(io::Error::other)
}

/// The first line of the answer says it all, so a whole HTTP client is not needed.
async fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Err(io::Error::other(format!("{} {body}", answer.lines().next().unwrap_or("no answer"))))
}

fn too_much_memory(settings: &HeartbeatSettings, pid: u32) -> Option<String> {
    let max = settings.memory_mb_max?;
    let used = resident_mb(pid)?;
    (used > max)
        .then(|| format!("it uses {used} MB of memory, and heartbeat.memory_mb_max allows {max}"))
}

/// `VmRSS` of proc_pid_status(5), which is in KiB. `None` when the process has just ended.
pub(crate) fn resident_mb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    fn settings() -> HeartbeatSettings {
        HeartbeatSettings {
            every: Duration::from_millis(5),
            timeout: Duration::from_secs(5),
            failures_max: 3,
            start_patience: Duration::from_secs(5),
            memory_mb_max: None,
        }
    }

    #[tokio::test]
    async fn failures_in_a_row_are_the_reason_to_restart() {
        let folder = tempfile::tempdir().unwrap();
        let address_file = folder.path().join("a.address");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        std::fs::write(&address_file, format!("{}\n", listener.local_addr().unwrap())).unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            for status in ["503 No", "503 No", "200 OK", "503 No", "503 No", "503 No"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.1 {status}\r\n\r\nstuck");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let reason = failure(settings(), address_file, std::process::id()).await;
        assert!(reason.ends_with("failed 3 times in a row: HTTP/1.1 503 No stuck"), "{reason}");
        server.join_next().await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_child_that_never_opens_its_port_is_restarted() {
        let settings = HeartbeatSettings { start_patience: Duration::ZERO, ..settings() };
        let reason = failure(settings, "no/such/file".into(), std::process::id()).await;
        assert!(reason.starts_with("it opened no admin port"), "{reason}");
    }

    #[tokio::test]
    async fn too_much_memory_is_a_reason() {
        let settings = HeartbeatSettings { memory_mb_max: Some(0), ..settings() };
        let reason = failure(settings, "no/such/file".into(), std::process::id()).await;
        assert!(reason.starts_with("it uses "), "{reason}");
    }
}
