//! What can go wrong with a part or a program, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 15;

/// A failure of the harness; `Debug` reads like `Display`, so that `unwrap` in a test explains
/// itself.
#[derive(thiserror::Error)]
pub enum Error {
    /// `make setup` has not been run, or an older one was.
    #[error("{} is not there: run `make setup`", .0.display())]
    NotSetUp(PathBuf),

    /// A binary of the workspace has not been built.
    #[error("{} is not built: run `cargo build --workspace --bins`, or `make test`", .0.display())]
    NotBuilt(PathBuf),

    /// Somebody wants to use the local stack, which does not run.
    #[error("the local stack is not up, or not all of it (see `stack status`): run `make stack`")]
    NotUp,

    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A program cannot be started at all.
    #[error("{name} cannot be started: {source}")]
    Spawn {
        /// The part or program.
        name: String,
        /// Why.
        source: io::Error,
    },

    /// A server ended instead of answering.
    #[error("{name} ended ({status}) before it was ready; {log}")]
    Ended {
        /// The part.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        log: LogTail,
    },

    /// A server runs but does not answer.
    #[error("{name} is not ready after {seconds} s ({seen}); {log}")]
    NotReady {
        /// The part.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the last attempt met.
        seen: String,
        /// Its last words.
        log: LogTail,
    },

    /// A helper command such as `initdb` failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command's name.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed to its standard error.
        output: String,
    },

    /// `govc` printed something else than JSON.
    #[error("govc printed what is not JSON: {source}")]
    Govc {
        /// What is wrong in it.
        source: serde_json::Error,
    },

    /// A condition did not come true.
    #[error("waited {seconds} s for {what}; last seen: {seen}")]
    Timeout {
        /// The condition in words.
        what: String,
        /// How long it was waited for.
        seconds: u64,
        /// What was there instead.
        seen: String,
    },

    /// PostgreSQL refused something.
    #[error("PostgreSQL, {action}: {source}")]
    Database {
        /// What was tried.
        action: String,
        /// Why not.
        source: sqlx::Error,
    },

    /// The caller's function that fills a template database failed.
    #[error("the template database {name} cannot be filled: {reason}")]
    Template {
        /// The template.
        name: &'static str,
        /// What the caller's function said, with its causes.
        reason: String,
    },

    /// The state file of the local stack is not what this version wrote.
    #[error("{}: {source}; `stack reset` starts afresh", path.display())]
    State {
        /// The state file.
        path: PathBuf,
        /// What is wrong in it.
        source: serde_json::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// For `map_err` after an operation on `path`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }

    /// For `map_err` after a statement.
    pub(crate) fn database(action: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let action = action.into();
        move |source| Self::Database { action, source }
    }
}

/// The end of a log file.
pub struct LogTail {
    path: PathBuf,
    lines: Vec<String>,
}

impl LogTail {
    /// Reads the last lines; a log that cannot be read has none.
    pub(crate) fn of(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> =
            text.lines().rev().take(TAIL_LINES).map(str::to_owned).collect();
        lines.reverse();
        Self { path: path.to_path_buf(), lines }
    }
}

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the end of its log {}:", self.path.display())?;
        self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
