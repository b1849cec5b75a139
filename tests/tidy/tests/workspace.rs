//! This workspace keeps its rules.

use tidy::{Crate, File, Finding, Workspace, manifests, sources, walls};

fn workspace() -> Workspace {
    Workspace::read().expect("git and cargo tell what the workspace is")
}

fn assert_none(findings: &[Finding]) {
    let list: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} findings:\n{}", list.len(), list.join("\n"));
}

fn is_rust(file: &&File) -> bool {
    file.path.ends_with(".rs")
}

fn manifest<'a>(workspace: &'a Workspace, member: &Crate) -> Option<&'a File> {
    let path = format!("{}/Cargo.toml", member.folder);
    workspace.files.iter().find(|file| file.path == path)
}

#[test]
fn imports_point_one_way() {
    assert_none(&walls::check(&workspace().crates));
}

#[test]
fn agnostic_crates_name_no_provider() {
    let workspace = workspace();
    let of_crate = |member| {
        workspace.files_of(member).flat_map(move |file| walls::check_agnostic(member, file))
    };
    assert_none(&workspace.crates.iter().flat_map(of_crate).collect::<Vec<_>>());
}

#[test]
fn files_keep_limits_and_habits() {
    let check = |file: &File| sources::check(&file.path, &file.text);
    assert_none(&workspace().files.iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn crates_stay_small() {
    let workspace = workspace();
    let check = |member| {
        let files = workspace.files_of(member).filter(is_rust);
        let lines = files.map(|file| sources::production_lines(&file.path, &file.text)).sum();
        sources::check_crate(&member.name, lines)
    };
    assert_none(&workspace.crates.iter().filter_map(check).collect::<Vec<_>>());
}

#[test]
fn functions_stay_short() {
    let workspace = workspace();
    let lengths = workspace.files.iter().filter(is_rust);
    let p90 = sources::p90(lengths.flat_map(|file| sources::function_lines(&file.text)).collect());
    let max = sources::FUNCTION_LINES_P90_MAX;
    assert!(
        p90 <= max,
        "one function of ten has {p90} lines or more; aim at {max}: split the long"
    );
}

#[test]
fn manifests_of_crates_explain_and_inherit() {
    let workspace = workspace();
    let manifests = workspace.crates.iter().filter_map(|member| manifest(&workspace, member));
    let check = |file: &File| manifests::check(&file.path, &file.text);
    assert_none(&manifests.flat_map(check).collect::<Vec<_>>());
}

#[test]
fn every_version_is_used() {
    let workspace = workspace();
    let crates: Vec<_> =
        workspace.crates.iter().filter_map(|member| manifest(&workspace, member)).collect();
    let root = workspace.files.iter().find(|file| file.path == "Cargo.toml").unwrap();
    assert_none(&manifests::check_unused(&root.text, &crates));
}

#[test]
fn every_top_folder_says_what_it_is() {
    let workspace = workspace();
    let folders: Vec<_> = workspace.crates.iter().map(|member| member.folder.as_str()).collect();
    let has_file = |path: &str| workspace.files.iter().any(|file| file.path == path);
    assert_none(&manifests::check_readmes(&folders, has_file));
}
