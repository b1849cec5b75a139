//! Manifests: what they ask for, and all that can be wrong with them.

use super::*;
use std::fs::write;
use tempfile::TempDir;

const TWO: &str = "
apiVersion: tributary.dev/v1alpha1
kind: Provider
metadata: {name: vc1}
spec: {kind: vsphere, credentials_file: CREDENTIALS, any: {thing: 1}}
---
apiVersion: tributary.dev/v1alpha1
kind: PersisterGroup
metadata: {name: inventory}
spec: {replicas: 2}
";

fn folder_with(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let credentials = folder.path().join("credentials");
    write(&credentials, "secret").unwrap();
    write(&file, text.replace("CREDENTIALS", &credentials.display().to_string())).unwrap();
    (folder, file)
}

fn mistakes(files: &[PathBuf]) -> Vec<String> {
    let Mistakes(found) = load(files).unwrap_err();
    let name = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    found.iter().map(|m| format!("{}: {}: {}", name(&m.place), m.key, m.problem)).collect()
}

#[test]
fn a_provider_is_a_collector_and_each_replica_a_persister() {
    let (_folder, file) = folder_with(TWO);
    let workers = load(std::slice::from_ref(&file)).unwrap();
    let names: Vec<_> = workers.keys().map(String::as_str).collect();
    assert_eq!(names, ["collector-vc1", "persister-inventory-0", "persister-inventory-1"]);
    let collector = format!("run -f {} --name vc1", file.display());
    assert_eq!(workers["collector-vc1"].arguments.join(" "), collector);
    let persister = &workers["persister-inventory-1"];
    assert_eq!(persister.program, Program::Persister);
    assert_eq!(persister.arguments.join(" "), "run --group inventory --instance inventory-1");
}

#[test]
fn a_fingerprint_changes_with_the_specification_and_the_files_that_it_names() {
    let (folder, file) = folder_with(TWO);
    let load = || load(std::slice::from_ref(&file)).unwrap();
    let before = load();
    write(folder.path().join("credentials"), "another").unwrap();
    let credentials_changed = load();
    let text = std::fs::read_to_string(&file).unwrap();
    write(&file, text.replace("thing: 1", "thing: 2").replace("replicas: 2", "replicas: 3"))
        .unwrap();
    let specification_changed = load();
    let of = |workers: &Desired, name: &str| workers[name].fingerprint;
    let name = "collector-vc1";
    assert_ne!(of(&before, name), of(&credentials_changed, name));
    assert_ne!(of(&credentials_changed, name), of(&specification_changed, name));
    let name = "persister-inventory-0";
    assert_eq!(of(&before, name), of(&specification_changed, name));
}

#[test]
fn a_persister_differs_with_the_files_that_its_settings_name() {
    let (folder, file) = folder_with(TWO);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let spec = format!("replicas: 1, config_file: {}", path("persister.yaml"));
    let text = std::fs::read_to_string(&file).unwrap().replace("replicas: 2", &spec);
    write(&file, text).unwrap();
    let persister = || load(std::slice::from_ref(&file)).unwrap()["persister-inventory-0"].clone();
    let without_settings = persister();
    let settings = format!("database: {{password_file: {}}}\n", path("password"));
    write(path("persister.yaml"), settings).unwrap();
    let with_settings = persister();
    assert_ne!(without_settings.fingerprint, with_settings.fingerprint);
    write(path("password"), "secret").unwrap();
    assert_ne!(with_settings.fingerprint, persister().fingerprint);
}

#[test]
fn all_mistakes_of_all_files_are_told_together() {
    let (_one, one) = folder_with(
        "{apiVersion: v2, kind: Topic, metadata: {name: x}, spec: {}}\n---\n\
         {apiVersion: tributary.dev/v1alpha1, kind: PersisterGroup, metadata: {name: 'a/b'}, \
         spec: {replica: 1}}",
    );
    let (_two, two) = folder_with(
        "{apiVersion: tributary.dev/v1alpha1, kind: Provider, metadata: {name: VC, labels: {}}}",
    );
    let found = mistakes(&[one, "none.yaml".into(), two]);
    let expected = [
        "m.yaml, document 1: apiVersion: expected tributary.dev/v1alpha1, found \"v2\"",
        "m.yaml, document 1: kind: unknown kind \"Topic\"; the known ones are Provider and \
         PersisterGroup",
        "m.yaml, document 2: metadata.name: expected letters, digits, '.', '_' and '-', found \
         \"a/b\"",
        "m.yaml, document 2: spec.replicas: has no value; add it",
        "m.yaml, document 2: spec.replica: unknown key; correct its name or remove it",
        "none.yaml: : can't read it (No such file or directory (os error 2)); name a file that \
         this program can read",
        "m.yaml: metadata.name: source \"VC\" is not valid: 1 to 63 of a-z, 0-9, '.' and '-'",
        "m.yaml: spec: has no value; add it",
        "m.yaml: metadata.labels: unknown key; correct its name or remove it",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_name_is_given_once() {
    let (_folder, file) = folder_with(TWO);
    let found = mistakes(&[file.clone(), file]);
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("metadata.name: an earlier manifest"), "{}", found[0]);
}

#[test]
fn a_variable_that_is_not_set_is_a_mistake() {
    let (_folder, file) = folder_with(&TWO.replace("thing: 1", "thing: '${TRIBUTARY_TEST_NONE}'"));
    let found = mistakes(&[file]);
    let expected = "the environment variable TRIBUTARY_TEST_NONE is not set; set it";
    assert!(found[0].ends_with(expected), "{found:?}");
}
