//! How the servers that are written in Java are started.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::folders;

/// `java` with a small heap and the quickest start: the first compiler only, a collector that needs
/// no second core, and the classes that `make setup` has archived under this name.
pub(crate) fn java(name: &str, heap: &str, folder: &Path) -> Result<Command, Error> {
    let archive = folders::part("classes")?.join(name).with_extension("jsa");
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]).arg(format!("-Xmx{heap}"));
    command.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
    // Whatever the virtual machine leaves behind, it leaves here.
    command.current_dir(folder);
    Ok(command)
}
