//! The whole loop, with shell scripts as children.

use super::*;
use crate::settings::HeartbeatSettings;
use chassis::{AdminSettings, Fields, LogSettings};
use serde_json::json;
use std::fs::{read_to_string, write};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs until SIGTERM, then says so.
const OBEDIENT: &str = "trap 'echo stopped $0 >> FOLDER/order; exit 0' TERM
echo started >> FOLDER/starts
while :; do sleep 0.05; done";

const PROVIDER: &str = "{apiVersion: tributary.dev/v1alpha1, kind: Provider, \
    metadata: {name: vc1}, spec: {password_file: FOLDER/password}}";
const GROUP: &str = "{apiVersion: tributary.dev/v1alpha1, kind: PersisterGroup, \
    metadata: {name: g}, spec: {replicas: 1}}";

/// A folder with programs and a manifest.
struct World {
    folder: TempDir,
}

impl World {
    fn new(collector: &str, persister: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for (name, script) in [("collector", collector), ("persister", persister)] {
            world.put(name, &format!("#!/bin/sh\n{script}\n"));
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(world.path(name), executable).unwrap();
        }
        world.put("m.yaml", &format!("{PROVIDER}\n---\n{GROUP}\n"));
        world.put("password", "wrong");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        // As a whole, so that the loop never reads half of it.
        let unfinished = self.path("unfinished");
        let folder = self.folder.path().display().to_string();
        write(&unfinished, text.replace("FOLDER", &folder)).unwrap();
        std::fs::rename(unfinished, self.path(name)).unwrap();
    }

    fn text(&self, name: &str) -> String {
        read_to_string(self.path(name)).unwrap_or_default()
    }

    fn worker(&self, name: &str) -> Option<WorkerStatus> {
        Status::read(&self.path("logs")).ok()?.workers.remove(name)
    }

    fn is(&self, name: &str, state: &str) -> bool {
        self.worker(name).is_some_and(|worker| worker.state == state)
    }

    async fn supervisor(&self) -> Supervisor {
        let settings = settings(self.folder.path());
        let (health, metrics) = (Health::awaiting(&[]), Metrics::default());
        let files = vec![self.path("m.yaml")];
        Supervisor::new(&settings, files, health, metrics).await.unwrap()
    }

    /// Runs the supervisor until `script` is over, and ends it.
    async fn run(&self, script: impl Future<Output = ()>) {
        let supervisor = self.supervisor().await;
        let stop = CancellationToken::new();
        let script = async {
            script.await;
            stop.cancel();
        };
        let (result, ()) = tokio::join!(supervisor.run(stop.clone()), script);
        result.unwrap();
    }
}

fn settings(folder: &Path) -> Settings {
    let text = "{log: {format: text, level: info}, admin: {listen: '127.0.0.1:0'}}";
    let config = folder.join("config.yaml");
    write(&config, text).unwrap();
    let mut common = chassis::load(text, Some(&config)).unwrap();
    let mut connections = Fields::of_document(
        "test",
        json!({
            "kafka": {"bootstrap_servers": "kafka:9092", "topic_prefix": "test.",
                "sasl_password_file": folder.join("kafka-password")},
            "registry": {"url": "http://registry"},
            "database": {"url": "postgres://database", "password_file": "/database-password"},
        }),
    );
    Settings {
        connections: Connections::read(&mut connections).unwrap(),
        process: ProcessSettings {
            binaries: Some(folder.to_owned()),
            log_folder: folder.join("logs"),
            look_every: LOOK_EVERY,
            stop_patience: Duration::from_millis(500),
            restart_delay_initial: Duration::from_millis(10),
            restart_delay_max: Duration::from_millis(10),
            stable_after: PATIENCE,
        },
        heartbeat: HeartbeatSettings {
            every: LOOK_EVERY,
            timeout: PATIENCE,
            failures_max: 2,
            start_patience: PATIENCE,
            memory_mb_max: None,
        },
        log: LogSettings::read(&mut common).unwrap(),
        admin: AdminSettings::read(&mut common).unwrap(),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "in vain: {what}");
}

#[tokio::test]
async fn runs_what_is_wanted_and_stops_collectors_first() {
    let world = World::new(OBEDIENT, OBEDIENT);
    world
        .run(async {
            until("both run", || world.text("starts").lines().count() == 2).await;
        })
        .await;
    let order = world.text("order");
    let programs: Vec<_> = order.lines().filter_map(|line| line.rsplit('/').next()).collect();
    assert_eq!(programs, ["collector", "persister"]);
    assert!(Status::read(&world.path("logs")).unwrap().workers.is_empty());
}

#[tokio::test]
async fn what_dies_is_started_again_and_its_last_lines_are_quoted() {
    let world = World::new("echo no luck; echo error: broken pipe >&2; exit 3", OBEDIENT);
    world
        .run(async {
            let again = || world.worker("collector-vc1").is_some_and(|worker| worker.restarts > 1);
            until("it is restarted", again).await;
            let reason = world.worker("collector-vc1").unwrap().last_end.unwrap();
            assert!(reason.starts_with("exit status: 3: error: broken pipe"), "{reason}");
            assert!(reason.ends_with("/logs/collector-vc1.log)"), "{reason}");
            assert!(world.is("persister-g-0", "running"));
        })
        .await;
}

#[tokio::test]
async fn exit_64_holds_a_worker_until_its_credentials_change() {
    let collector = "echo start >> FOLDER/tries
grep -q right FOLDER/password || { echo error: wrong password >&2; exit 64; }";
    let world = World::new(&format!("{collector}\n{OBEDIENT}"), OBEDIENT);
    world
        .run(async {
            until("it is held", || world.is("collector-vc1", "held")).await;
            let reason = world.worker("collector-vc1").unwrap().last_end.unwrap();
            assert!(reason.contains("error: wrong password"), "{reason}");
            world.put("password", "right");
            until("it is released", || world.text("starts").lines().count() == 2).await;
            assert!(world.is("collector-vc1", "running"));
            assert_eq!(world.text("tries").lines().count(), 2);
        })
        .await;
}

#[tokio::test]
async fn credentials_of_the_settings_release_a_worker_too() {
    let collector = "grep -q right $TRIBUTARY_KAFKA__SASL_PASSWORD_FILE || exit 64";
    let world = World::new(&format!("{collector}\n{OBEDIENT}"), OBEDIENT);
    world.put("kafka-password", "wrong");
    world
        .run(async {
            until("it is held", || world.is("collector-vc1", "held")).await;
            world.put("kafka-password", "right");
            until("it is released", || world.is("collector-vc1", "running")).await;
        })
        .await;
}

#[tokio::test]
async fn a_broken_manifest_changes_nothing() {
    let world = World::new(OBEDIENT, OBEDIENT);
    let mut supervisor = world.supervisor().await;
    let desired = supervisor.desired.clone();
    world.put("m.yaml", "{kind: Nonsense}");
    supervisor.look();
    assert_eq!(supervisor.desired, desired);
    assert!(supervisor.told.is_some());
    world.put("m.yaml", GROUP);
    supervisor.look();
    assert_eq!(supervisor.desired.len(), 1);
    assert!(supervisor.told.is_none());
}

#[tokio::test]
async fn a_changed_manifest_is_followed() {
    let world = World::new(OBEDIENT, OBEDIENT);
    world
        .run(async {
            until("both run", || world.text("starts").lines().count() == 2).await;
            world.put("m.yaml", GROUP);
            until("the collector is gone", || world.worker("collector-vc1").is_none()).await;
            assert!(world.is("persister-g-0", "running"));
        })
        .await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed() {
    let world = World::new("trap '' TERM; echo started >> FOLDER/starts; sleep 1000", OBEDIENT);
    world.put("m.yaml", PROVIDER);
    world.run(until("it runs", || !world.text("starts").is_empty())).await;
    assert!(world.worker("collector-vc1").is_none());
}

#[tokio::test]
async fn a_sick_child_is_replaced() {
    // Nobody listens on port 1.
    let sick = "echo 127.0.0.1:1 > $TRIBUTARY_ADMIN__ADDRESS_FILE";
    let world = World::new(&format!("{sick}\n{OBEDIENT}"), OBEDIENT);
    world
        .run(async {
            let again = || world.worker("collector-vc1").is_some_and(|worker| worker.restarts > 0);
            until("it is restarted", again).await;
            let reason = world.worker("collector-vc1").unwrap().last_end.unwrap();
            assert!(reason.contains("/livez failed 2 times in a row"), "{reason}");
        })
        .await;
}

#[tokio::test]
async fn only_persisters_are_told_the_database() {
    let tell = "env > FOLDER/env-$(basename $0).new; mv FOLDER/env-$(basename $0).new \
        FOLDER/env-$(basename $0)";
    let world = World::new(&format!("{tell}\n{OBEDIENT}"), &format!("{tell}\n{OBEDIENT}"));
    world
        .run(async {
            let told = || ["env-collector", "env-persister"].iter().all(|f| world.path(f).exists());
            until("both have told their environment", told).await;
        })
        .await;
    for name in ["env-collector", "env-persister"] {
        let environment = world.text(name);
        assert!(environment.contains("KAFKA_BOOTSTRAP_SERVERS=kafka:9092\n"), "{environment}");
        assert!(environment.contains("TRIBUTARY_TOPIC_PREFIX=test.\n"), "{environment}");
        let has_database = environment.contains("DATABASE_URL=postgres://database\n");
        assert_eq!(has_database, name == "env-persister");
        let has_password = environment.contains("TRIBUTARY_DATABASE__PASSWORD_FILE=");
        assert_eq!(has_password, name == "env-persister");
    }
}
