//! The signal that ends a program.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A token that SIGTERM or SIGINT cancels; the program then drains and returns. A second signal
/// ends the process at once, with code 1.
///
/// # Panics
/// Outside a tokio runtime.
#[must_use]
pub fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let mut signals = Signals::catch();
    let stop = token.clone();
    // Nothing waits for this task: it ends with the process.
    TaskTracker::new().spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping; a second signal ends at once");
        stop.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "ended before everything was drained");
        std::process::exit(1);
    });
    token
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    fn catch() -> Self {
        let catch = |kind| signal(kind).expect("every process may catch this signal");
        Self {
            terminate: catch(SignalKind::terminate()),
            interrupt: catch(SignalKind::interrupt()),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, id};

    #[tokio::test]
    async fn sigterm_cancels_the_token() {
        let token = token();
        assert!(!token.is_cancelled());
        let kill = format!("kill -TERM {}", id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        token.cancelled().await;
    }
}
