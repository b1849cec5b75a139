//! The workspace as it is: its own files, its crates and what they depend on.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::path::{Path, PathBuf};
use std::process::Command;

/// This workspace.
#[derive(Debug)]
pub struct Workspace {
    /// What git tracks and is text.
    pub files: Vec<File>,
    /// The members.
    pub crates: Vec<Crate>,
}

/// A text file.
#[derive(Debug)]
pub struct File {
    /// Its path below the workspace's root.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder below the workspace's root.
    pub folder: String,
    /// What its manifest names.
    pub uses: Vec<Use>,
}

/// One dependency of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The package that is used.
    pub package: String,
    /// By the crate's tests alone.
    pub in_tests: bool,
}

/// Why the workspace can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The list of files.
    #[error("can't list the files of {0}: {1}; run the tests in a clone, with git installed")]
    Files(PathBuf, String),
    /// The list of crates.
    #[error(transparent)]
    Crates(#[from] cargo_metadata::Error),
}

impl Workspace {
    /// Asks git and cargo.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub fn read() -> Result<Self, Unreadable> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .other_options(["--offline".to_owned()])
            .exec()?;
        let root = metadata.workspace_root.as_std_path();
        let crates = metadata.packages.iter().map(|package| Crate::of(package, root)).collect();
        Ok(Self { files: own_files(root)?, crates })
    }

    /// The files below the crate's folder.
    pub fn files_of(&self, member: &Crate) -> impl Iterator<Item = &File> {
        let folder = format!("{}/", member.folder);
        self.files.iter().filter(move |file| file.path.starts_with(&folder))
    }
}

impl Crate {
    fn of(package: &Package, root: &Path) -> Self {
        let folder = package.manifest_path.as_std_path().parent().unwrap_or(root);
        let folder = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned();
        let uses = package.dependencies.iter().map(|dependency| Use {
            package: dependency.name.clone(),
            in_tests: dependency.kind == DependencyKind::Development,
        });
        Self { name: package.name.to_string(), folder, uses: uses.collect() }
    }
}

/// What is committed or could be: a new file is judged before it is added.
fn own_files(root: &Path) -> Result<Vec<File>, Unreadable> {
    let unreadable = |reason: String| Unreadable::Files(root.to_owned(), reason);
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let git = Command::new("git").args(list).current_dir(root).output();
    let output = git.map_err(|error| unreadable(error.to_string()))?;
    if !output.status.success() {
        return Err(unreadable(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let paths = String::from_utf8_lossy(&output.stdout).into_owned();
    let file = |path: &str| {
        // What was deleted but not yet committed, and what is no text, has no lines to judge.
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    Ok(paths.split_terminator('\0').filter_map(file).collect())
}
