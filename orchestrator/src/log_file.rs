//! The log of a child: appended to, and quoted from when the child dies.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Stdio;

/// How much of the end is looked at, in bytes.
const TAIL: u64 = 8 * 1024;
/// How many lines are quoted.
const LINES: usize = 5;

/// A log, from the start of one process on.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    start: u64,
}

impl LogFile {
    /// Keeps what is there: how the process before ended is in it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::options().create(true).append(true).read(true).open(&path)?;
        let start = file.metadata()?.len();
        Ok(Self { path, file, start })
    }

    /// For a child's output.
    ///
    /// # Errors
    /// When this process has too many open files.
    pub fn writer(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// What the process wrote last: its error if it told one, else its last lines; and where to
    /// read more.
    #[must_use]
    pub fn quote(&self) -> String {
        let text = self.tail().unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let error = lines.iter().rposition(|line| line.starts_with("error: "));
        let first = error.unwrap_or(lines.len().saturating_sub(LINES));
        let quoted = lines[first..].join("\n  ");
        let path = self.path.display();
        if quoted.is_empty() { format!("see {path}") } else { format!("{quoted}\n  (see {path})") }
    }

    fn tail(&self) -> io::Result<String> {
        let mut file = &self.file;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(self.start.max(end.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn quotes_only_the_last_process_and_its_error_first_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "error: of an earlier process\n").unwrap();
        let log = LogFile::open(path).unwrap();
        assert!(log.quote().starts_with("see "));
        writeln!(&log.file, "one\ntwo").unwrap();
        assert!(log.quote().starts_with("one\n  two\n  (see "));
        writeln!(&log.file, "error: no such host\n  try another").unwrap();
        assert!(log.quote().starts_with("error: no such host\n    try another\n  (see "));
    }
}
