//! Where things lie: the project's `.stack` folder, the parts that `make setup` fetched, and one
//! folder per test process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::Error;
use crate::process::ProcessId;

static PROJECT: LazyLock<PathBuf> = LazyLock::new(|| {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap_or(crate_folder).to_path_buf()
});

/// The git-ignored folder of everything that the stack and the tests leave behind.
pub(crate) fn stack_folder() -> PathBuf {
    PROJECT.join(".stack")
}

/// A fetched part by its name in `.stack/cache`, with links resolved: a server's own user may not
/// be able to pass through the project's folder.
pub(crate) fn part(name: &str) -> Result<PathBuf, Error> {
    let link = stack_folder().join("cache").join(name);
    fs::canonicalize(&link).map_err(|_| Error::NotSetUp(link))
}

/// A file of `config/`, for servers that read it themselves.
pub(crate) fn config_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// Makes a folder, with those above it.
pub(crate) fn make(folder: PathBuf) -> Result<PathBuf, Error> {
    fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
    Ok(folder)
}

/// Where PostgreSQL's data go when its user cannot reach the project's folder; the same for every
/// run of one clone, different for two clones.
pub(crate) fn reachable_by_all() -> PathBuf {
    let path = PROJECT.as_os_str().as_encoded_bytes();
    // FNV-1a: the name must be the same in every build, which std's hasher does not promise.
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    PathBuf::from(format!("/var/tmp/tributary-{hash:016x}"))
}

/// The folder of this test process, `.stack/runs/<process id>-<start time>`. It stays for whoever
/// wants to read the logs; the next run removes it.
pub(crate) fn test_run() -> Result<PathBuf, Error> {
    let name = run_name();
    for runs in [stack_folder().join("runs"), reachable_by_all().join("runs")] {
        remove_ended_runs(&runs);
    }
    make(stack_folder().join("runs").join(name))
}

/// The name of this test process's folders.
pub(crate) fn run_name() -> String {
    let pid = std::process::id().cast_signed();
    let started = ProcessId::of(pid).map_or(0, |id| id.started);
    format!("{pid}-{started}")
}

/// Errors don't matter here: another run may be removing the same folder.
fn remove_ended_runs(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-'));
        let owner = owner.and_then(|(pid, started)| {
            Some(ProcessId { pid: pid.parse().ok()?, started: started.parse().ok()? })
        });
        if owner.is_some_and(|owner| !owner.is_alive()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
