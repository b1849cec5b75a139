//! The manifests of crates: each dependency has its reason, and versions, lints, edition and
//! license come from the workspace.

use crate::{File, Finding};

const INHERITED: [&str; 3] =
    ["[lints]\nworkspace = true\n", "\nedition.workspace = true\n", "\nlicense.workspace = true\n"];

/// What is not as it should be in one crate's manifest.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let unexplained = dependencies(text).filter(|(_, line)| !has_reason(line)).map(|(name, _)| {
        let problem = format!("the dependency {name} has no reason");
        Finding::new(path, problem, "say on its line what for: `# half a line`")
    });
    let own = INHERITED.into_iter().filter(|lines| !text.contains(lines)).map(|lines| {
        let wanted = lines.trim().replace('\n', " ");
        Finding::new(path, format!("{wanted} is missing"), "add it: one place decides for all")
    });
    unexplained.chain(own).collect()
}

/// Versions in the workspace's manifest that no crate uses. Our own crates may be named before
/// somebody uses them.
#[must_use]
pub fn check_unused(workspace: &str, crates: &[&File]) -> Vec<Finding> {
    let is_used = |name: &str| {
        crates.iter().flat_map(|file| dependencies(&file.text)).any(|(used, _)| used == name)
    };
    let unused = dependencies(workspace)
        .filter(|(name, line)| !line.contains("{ path = ") && !is_used(name))
        .map(|(name, _)| {
            Finding::new("Cargo.toml", format!("no crate uses {name}"), "remove its line")
        });
    unused.collect()
}

/// Folders at the top that hold crates, but say nowhere what they are.
#[must_use]
pub fn check_readmes(crate_folders: &[&str], has_file: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut tops: Vec<_> =
        crate_folders.iter().filter_map(|folder| folder.split('/').next()).collect();
    tops.sort_unstable();
    tops.dedup();
    let missing = tops.iter().map(|top| format!("{top}/README.md")).filter(|path| !has_file(path));
    let remedy = "write it: what the folder is, its invariants, where things live";
    missing.map(|path| Finding::new(path, "is missing", remedy)).collect()
}

/// Name and line of each dependency, of whatever kind.
fn dependencies(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut is_inside = false;
    text.lines().filter_map(move |line| {
        if line.starts_with('[') {
            is_inside = line.trim_end().ends_with("dependencies]");
            return None;
        }
        let name = line.split(['.', ' ', '=']).next()?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        (is_inside && is_name).then_some((name, line))
    })
}

fn has_reason(line: &str) -> bool {
    line.split_once(" # ").is_some_and(|(_, reason)| !reason.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nedition.workspace = true\n\
        license.workspace = true\n\n[lints]\nworkspace = true\n\n[dependencies]\n\
        serde.workspace = true # the form of records\n\n[dev-dependencies]\n# For tests.\n";

    fn problems(text: &str) -> Vec<String> {
        check("a/Cargo.toml", text).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn a_dependency_has_a_reason() {
        assert_eq!(problems(GOOD), [""; 0]);
        let expected = ["the dependency tokio has no reason"];
        assert_eq!(problems(&format!("{GOOD}tokio.workspace = true\n")), expected);
        assert_eq!(problems(&format!("{GOOD}tokio = {{ workspace = true }} #\n")), expected);
    }

    #[test]
    fn lints_edition_and_license_come_from_the_workspace() {
        for line in ["edition", "license"] {
            let own = GOOD.replace(&format!("{line}.workspace = true"), &format!("{line} = \"1\""));
            assert_eq!(problems(&own), [format!("{line}.workspace = true is missing")]);
        }
        let own = GOOD.replace("[lints]\n", "[lints.rust]\n");
        assert_eq!(problems(&own), ["[lints] workspace = true is missing"]);
    }

    #[test]
    fn a_version_that_nobody_uses_is_found() {
        let root = "[workspace.dependencies]\nserde = \"1\"\ntokio = { version = \"1\" }\n\
            ours = { path = \"ours\" }\n";
        let one = File { path: "a/Cargo.toml".to_owned(), text: GOOD.to_owned() };
        let found = check_unused(root, &[&one]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].problem, "no crate uses tokio");
    }

    #[test]
    fn a_top_folder_without_a_readme_is_found() {
        let found = check_readmes(&["a/x", "a/y", "b"], |path| path == "b/README.md");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "a/README.md");
    }
}
