//! How a program ends: its exit code, and its error told once.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// The exit code for what only a person can mend (`EX_USAGE` of sysexits.h): who runs the program
/// does not start it again until manifest, settings or credentials change.
pub const FINAL: u8 = 64;

/// Whether a new start could help.
pub trait ExitKind {
    /// Only a person can mend it.
    fn is_final(&self) -> bool;
}

/// The exit code of `result`: 0, 64 for a final error, 1 for any other. An error is printed to
/// stderr with its causes.
pub fn code<E: Error + ExitKind>(result: &Result<(), E>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "error: {}", chain(error));
    if error.is_final() { ExitCode::from(FINAL) } else { ExitCode::FAILURE }
}

/// The error and its causes, without those that the text before already contains.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("can't start")]
    struct Outer {
        is_final: bool,
        #[source]
        cause: std::io::Error,
    }

    impl ExitKind for Outer {
        fn is_final(&self) -> bool {
            self.is_final
        }
    }

    fn outer(is_final: bool) -> Outer {
        Outer { is_final, cause: std::io::Error::other("port is taken") }
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        assert_eq!(chain(&outer(true)), "can't start: port is taken");
    }

    #[test]
    fn the_code_says_whether_a_new_start_could_help() {
        let shown = |result: Result<(), Outer>| format!("{:?}", code(&result));
        assert_eq!(shown(Ok(())), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(shown(Err(outer(true))), format!("{:?}", ExitCode::from(64)));
        assert_eq!(shown(Err(outer(false))), format!("{:?}", ExitCode::from(1)));
    }
}
