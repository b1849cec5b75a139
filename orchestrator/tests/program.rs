//! The program itself: what it prints, and how it ends.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::{read_to_string, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until SIGTERM, then says so.
const OBEDIENT: &str = "#!/bin/sh
trap 'echo $(basename $0) >> FOLDER/order; exit 0' TERM
echo $$ >> FOLDER/started
while :; do sleep 0.05; done
";

const BOTH: &str = "{apiVersion: tributary.dev/v1alpha1, kind: PersisterGroup, \
    metadata: {name: g}, spec: {replicas: 1}}\n---\n\
    {apiVersion: tributary.dev/v1alpha1, kind: Provider, metadata: {name: vc1}, spec: {kind: k}}\n";

fn orchestrator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.args(arguments).kill_on_drop(true);
    command
}

async fn stdout(command: &mut Command) -> String {
    let output = command.output().await.expect("the program was built with this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn every_example_is_a_manifest() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let file = entry.unwrap().path();
        let mut check = orchestrator(&["check", "-f", file.to_str().unwrap()]);
        check.envs([("VCENTER_URL", "https://vc/sdk"), ("VCENTER_CA_FILE", "ca.pem")]);
        let workers = stdout(check.env("VCENTER_CREDENTIALS_FILE", "credentials.yaml")).await;
        assert!(workers.contains("collector-"), "{}: {workers}", file.display());
        count += 1;
    }
    assert!(count >= 2);
}

#[tokio::test]
async fn check_tells_programs_what_will_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    write(&file, BOTH).unwrap();
    let file = file.to_str().unwrap();
    let output = stdout(&mut orchestrator(&["check", "-f", file, "--output", "json"])).await;
    let expected = json!({"workers": {
        "collector-vc1": {
            "program": "collector", "arguments": ["run", "-f", file, "--name", "vc1"],
        },
        "persister-g-0": {
            "program": "persister",
            "arguments": ["run", "--group", "g", "--instance", "g-0"],
        },
    }});
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), expected);
}

#[tokio::test]
async fn sigterm_ends_collectors_then_persisters_then_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for program in ["collector", "persister"] {
        write(path(program), OBEDIENT.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        std::fs::set_permissions(path(program), PermissionsExt::from_mode(0o755)).unwrap();
    }
    write(path("m.yaml"), BOTH).unwrap();
    let mut run = orchestrator(&["run", "-f", path("m.yaml").to_str().unwrap()]);
    run.envs([("KAFKA_BOOTSTRAP_SERVERS", "b:1"), ("SCHEMA_REGISTRY_URL", "http://r")])
        .env("TRIBUTARY_PROCESS__BINARIES", folder.path())
        .env("TRIBUTARY_LOG__LEVEL", "warn")
        .env("TRIBUTARY_PROCESS__LOG_FOLDER", path("logs"));
    let mut running = run.spawn().unwrap();
    until(|| lines(&path("started")).len() == 2 && path("logs/status.json").exists()).await;

    let logs = path("logs");
    let arguments = ["status", "--log-folder", logs.to_str().unwrap(), "--output", "json"];
    let status = stdout(&mut orchestrator(&arguments)).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pid"].as_u64(), running.id().map(u64::from));
    assert_eq!(status["workers"]["collector-vc1"]["state"], "running");

    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(timeout(PATIENCE, running.wait()).await.unwrap().unwrap().success());
    assert_eq!(lines(&path("order")), ["collector", "persister"]);
    for child in lines(&path("started")) {
        assert!(!Path::new("/proc").join(&child).exists(), "{child} is still there");
    }
}

fn lines(file: &Path) -> Vec<String> {
    read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "the workers have not started");
}
