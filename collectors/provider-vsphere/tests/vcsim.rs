//! The provider against a vCenter simulator: what it tells is what `govc` says.

use harness::{Inventory, Lifetime, Vcsim};
use provider::{
    Change, Clock, Entity, Issuer, Observation, Provider, ProviderError, Range, Sink, observations,
};
use provider_vsphere::{Settings, Vsphere};
use records::{Value, Version};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

type Outcome<T> = Result<T, Box<dyn Error>>;

const LONG: Duration = Duration::from_secs(30);
const VM: &str = "DC0_C0_RP0_VM0";
const TYPES: usize = 8;

/// A simulator with what its size alone does not bring: a standalone host, a datastore cluster.
struct Scene {
    vcsim: Vcsim,
    folder: TempDir,
}

impl Scene {
    async fn start(vms: u32) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let inventory = Inventory::Vms(vms);
        let vcsim = Vcsim::launch(folder.path(), port, &inventory, Lifetime::Test).await?;
        vcsim.server.ready().await?;
        let host = ["host.add", "-noverify", "-hostname", "10.9.9.9", "-username", "u"];
        vcsim.govc(&[&host[..], &["-password", "p"]].concat()).await?;
        vcsim.govc(&["folder.create", "-pod", "/DC0/datastore/pod"]).await?;
        Ok(Self { vcsim, folder })
    }

    fn settings(&self) -> Outcome<Settings> {
        Ok(Settings {
            url: format!("{}/sdk", self.vcsim.url()).parse()?,
            credentials_file: self.vcsim.credentials_file(),
            ca_file: Some(self.vcsim.ca_file()),
        })
    }

    fn file(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Objects of one of govc's types, by their ids, with some of their properties.
    async fn govc(&self, types: &str, properties: &[&str]) -> Outcome<Objects> {
        let arguments = [&["object.collect", "-json", "-type", types, "/"], properties].concat();
        let text = self.vcsim.govc(&arguments).await?;
        let updates = serde_json::Deserializer::from_str(&text).into_iter::<Json>();
        updates.map(|update| Ok(object(&update?))).collect()
    }

    /// How many sessions this program has there; govc has its own.
    async fn sessions(&self) -> Outcome<usize> {
        let listed: Json = serde_json::from_str(&self.vcsim.govc(&["session.ls", "-json"]).await?)?;
        let sessions = listed["sessionList"].as_array().ok_or("no sessions")?;
        let agents = sessions.iter().filter_map(|session| session["userAgent"].as_str());
        Ok(agents.filter(|agent| agent.starts_with("tributary")).count())
    }
}

/// By id: by property: the value; a reference or an enum as its text, a list sorted.
type Objects = BTreeMap<String, BTreeMap<String, Json>>;

fn object(update: &Json) -> (String, BTreeMap<String, Json>) {
    let id = update["obj"]["value"].as_str().unwrap_or_default().to_owned();
    let changes = update["changeSet"].as_array().into_iter().flatten();
    let values = changes.map(|change| {
        (change["name"].as_str().unwrap_or_default().to_owned(), plain(&change["val"]))
    });
    (id, values.collect())
}

fn plain(value: &Json) -> Json {
    if let Some(id) = value.get("value") {
        return id.clone();
    }
    let Some(values) = value.get("_value") else { return value.clone() };
    let values = values.as_array().into_iter().flatten().map(plain);
    let texts: BTreeSet<_> = values.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    texts.into_iter().collect()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Boolean(value) => (*value).into(),
        Value::Long(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(json).collect(),
        _ => Json::Null,
    }
}

/// A provider that runs, and what it has told. Its future is polled while that is waited for.
struct Running<'a> {
    run: Pin<Box<dyn Future<Output = Result<(), ProviderError>> + Send + 'a>>,
    told: Receiver<Observation>,
    _issuer: Issuer,
}

/// What a whole listing has told.
#[derive(Default)]
struct Listed {
    versions: BTreeSet<Version>,
    complete: Vec<String>,
    objects: BTreeMap<String, BTreeMap<String, Entity>>,
}

impl<'a> Running<'a> {
    fn start(provider: &'a mut Vsphere) -> Self {
        let (clock, issuer) = Clock::above(Version::NEVER);
        issuer.raise(Version::from_micros(i64::MAX));
        let (sink, told): (Sink, _) = observations(clock, 10);
        Self { run: provider.run(sink), told, _issuer: issuer }
    }

    async fn next(&mut self) -> Outcome<Observation> {
        tokio::select! {
            told = self.told.recv() => Ok(told.ok_or("the provider has ended")?),
            result = &mut self.run => Err(format!("the provider has ended: {result:?}").into()),
            () = tokio::time::sleep(LONG) => Err("nothing is told".into()),
        }
    }

    async fn listing(&mut self) -> Outcome<Listed> {
        let mut listed = Listed::default();
        loop {
            match self.next().await? {
                Observation::Listed(version, entity) => {
                    listed.versions.insert(version);
                    let objects = listed.objects.entry(entity.entity_type.to_string()).or_default();
                    objects.insert(entity.native_id.to_string(), entity);
                }
                Observation::Complete(version, entity_type, range) => {
                    assert_eq!(range, Range::all());
                    listed.versions.insert(version);
                    listed.complete.push(entity_type.to_string());
                }
                Observation::ListingEnds(_) => return Ok(listed),
                other => return Err(format!("a listing of a quiet vCenter: {other:?}").into()),
            }
        }
    }

    /// The next change that `wanted` knows.
    async fn change<T>(&mut self, mut wanted: impl FnMut(&Change) -> Option<T>) -> Outcome<T> {
        loop {
            if let Observation::Changed(_, change) = self.next().await?
                && let Some(found) = wanted(&change)
            {
                return Ok(found);
            }
        }
    }
}

fn attribute(entity: &Entity, name: &str) -> Json {
    let found = entity.attributes.iter().find(|(attribute, _)| *attribute == name);
    found.map_or(Json::Null, |(_, value)| json(value))
}

/// Attributes and the properties that they are made of.
type Pairs = &'static [(&'static str, &'static str)];

/// Compares one type: attribute by attribute with the property that it is made of.
fn compare(listed: &Listed, entity_type: &str, theirs: &Objects, pairs: &[(&str, &str)]) {
    let ours = &listed.objects[entity_type];
    let ids: Vec<_> = ours.keys().collect();
    assert_eq!(ids, theirs.keys().collect::<Vec<_>>(), "{entity_type}");
    for (id, properties) in theirs {
        for (attribute_name, property) in pairs {
            let expected = properties.get(*property).cloned().unwrap_or_default();
            let found = attribute(&ours[id], attribute_name);
            assert_eq!(found, expected, "{entity_type} {id} {attribute_name}");
        }
    }
}

/// govc's word for each type, and which attribute equals which property.
const COMPARED: [(&str, &str, Pairs); 7] = [
    ("datacenter", "d", &[("name", "name"), ("vm_folder_ref", "vmFolder")]),
    (
        "cluster",
        "r",
        &[
            ("name", "name"),
            ("folder_ref", "parent"),
            ("resource_pool_ref", "resourcePool"),
            ("total_cpu_mhz", "summary.totalCpu"),
            ("hosts", "summary.numHosts"),
            ("datastore_refs", "datastore"),
        ],
    ),
    ("resource_pool", "p", &[("name", "name"), ("parent_ref", "parent"), ("cluster_ref", "owner")]),
    (
        "datastore",
        "s",
        &[("name", "name"), ("folder_ref", "parent"), ("free_bytes", "summary.freeSpace")],
    ),
    ("network", "n", &[("name", "name"), ("folder_ref", "parent")]),
    (
        "host",
        "h",
        &[
            ("name", "name"),
            ("cluster_ref", "parent"),
            ("vendor", "summary.hardware.vendor"),
            ("memory_bytes", "summary.hardware.memorySize"),
            ("product_version", "summary.config.product.version"),
            ("connection_state", "runtime.connectionState"),
            ("maintenance_mode", "runtime.inMaintenanceMode"),
            ("network_refs", "network"),
        ],
    ),
    (
        "virtual_machine",
        "m",
        &[
            ("name", "name"),
            ("uuid", "config.uuid"),
            ("cpus", "config.hardware.numCPU"),
            ("memory_mb", "config.hardware.memoryMB"),
            ("guest_id", "config.guestId"),
            ("host_ref", "runtime.host"),
            ("folder_ref", "parent"),
            ("resource_pool_ref", "resourcePool"),
            ("datastore_refs", "datastore"),
            ("network_refs", "network"),
            ("disk_uncommitted_bytes", "summary.storage.uncommitted"),
        ],
    ),
];

#[tokio::test]
async fn what_is_listed_is_what_govc_says() -> Outcome<()> {
    let scene = Scene::start(6).await?;
    let mut provider = Vsphere::open(&scene.settings()?)?;
    let listed = Running::start(&mut provider).listing().await?;
    assert_eq!(listed.versions.len(), 1);
    assert_eq!(listed.complete.len(), TYPES);
    for (entity_type, types, pairs) in COMPARED {
        let properties: Vec<_> = pairs.iter().map(|(_, property)| *property).collect();
        compare(&listed, entity_type, &scene.govc(types, &properties).await?, pairs);
    }
    let powered = scene.govc("m", &["runtime.powerState"]).await?;
    let vms = &listed.objects["virtual_machine"];
    assert!(powered.values().all(|vm| vm["runtime.powerState"] == "poweredOn"));
    assert!(vms.values().all(|vm| attribute(vm, "power_state") == "on"));
    let cards = vms.values().map(|vm| attribute(vm, "mac_addresses"));
    assert!(cards.into_iter().all(|cards| cards.as_array().is_some_and(|cards| cards.len() == 1)));
    Ok(())
}

#[tokio::test]
async fn folders_are_listed_with_the_root_so_that_no_reference_dangles() -> Outcome<()> {
    let scene = Scene::start(2).await?;
    let mut provider = Vsphere::open(&scene.settings()?)?;
    let listed = Running::start(&mut provider).listing().await?;
    let mut theirs = scene.govc("f", &["name", "parent"]).await?;
    theirs.insert("group-d1".to_owned(), [("name".to_owned(), "Datacenters".into())].into());
    compare(&listed, "folder", &theirs, &[("name", "name"), ("parent_ref", "parent")]);
    let kinds: BTreeSet<_> = listed.objects["folder"]
        .values()
        .map(|folder| attribute(folder, "kind").as_str().unwrap_or_default().to_owned())
        .collect();
    let expected =
        ["cluster", "datacenter", "datastore", "datastore_cluster", "network", "virtual_machine"];
    assert_eq!(kinds, expected.map(str::to_owned).into());
    let ids: BTreeSet<&String> = listed.objects.values().flat_map(BTreeMap::keys).collect();
    for entity in listed.objects.values().flat_map(BTreeMap::values) {
        for (name, value) in &entity.attributes {
            let dangles = |id: &Json| id.as_str().is_some_and(|id| !ids.contains(&id.to_owned()));
            let value = json(value);
            let is_whole = match (name.ends_with("_ref"), name.ends_with("_refs")) {
                (true, _) => !dangles(&value),
                (_, true) => value.as_array().is_some_and(|ids| !ids.iter().any(dangles)),
                _ => true,
            };
            assert!(is_whole, "{} {name} {value}", entity.native_id);
        }
    }
    Ok(())
}

#[tokio::test]
async fn changes_are_told_as_they_happen() -> Outcome<()> {
    let scene = Scene::start(4).await?;
    let mut provider = Vsphere::open(&scene.settings()?)?;
    let mut running = Running::start(&mut provider);
    running.listing().await?;

    scene.vcsim.govc(&["vm.power", "-off", "-force", VM]).await?;
    let power_state = |change: &Change| match change {
        Change::Update(entity) => Some(attribute(entity, "power_state")).filter(|s| !s.is_null()),
        _ => None,
    };
    assert_eq!(running.change(power_state).await?, "off");

    scene.vcsim.govc(&["vm.network.add", "-vm", VM, "-net", "VM Network"]).await?;
    let cards = |change: &Change| match change {
        Change::Update(entity) => attribute(entity, "mac_addresses").as_array().map(Vec::len),
        _ => None,
    };
    assert_eq!(running.change(cards).await?, 2);

    let new = ["vm.create", "-on=false", "-pool", "DC0_C0/Resources", "-ds", "LocalDS_0"];
    scene.vcsim.govc(&[&new[..], &["-net", "VM Network", "new"]].concat()).await?;
    let created = |change: &Change| match change {
        Change::Upsert(entity) if attribute(entity, "name") == "new" => Some(entity.clone()),
        _ => None,
    };
    let created = running.change(created).await?;
    assert_eq!(attribute(&created, "power_state"), "off");

    scene.vcsim.govc(&["vm.destroy", "new"]).await?;
    let deleted = |change: &Change| match change {
        Change::Delete(entity_type, id) => Some((entity_type.to_string(), id.clone())),
        _ => None,
    };
    let deleted = running.change(deleted).await?;
    assert_eq!(deleted, ("virtual_machine".to_owned(), created.native_id));
    Ok(())
}

#[tokio::test]
async fn a_second_run_lists_again_and_leaves_one_session() -> Outcome<()> {
    let scene = Scene::start(2).await?;
    let mut provider = Vsphere::open(&scene.settings()?)?;
    let first = Running::start(&mut provider).listing().await?;
    let second = Running::start(&mut provider).listing().await?;
    assert_eq!(first.objects, second.objects);
    assert!(first.versions < second.versions);
    assert_eq!(scene.sessions().await?, 1);
    provider.close().await;
    assert_eq!(scene.sessions().await?, 0);
    let report = provider.check().await?;
    assert_eq!(report.objects.iter().map(|(_, count)| count).sum::<u64>(), objects(&first));
    assert!(report.privileges.iter().all(|privilege| privilege.granted));
    assert!(report.api.starts_with("VMware vCenter Server"), "{}", report.api);
    assert_eq!(scene.sessions().await?, 0);
    Ok(())
}

fn objects(listed: &Listed) -> u64 {
    listed.objects.values().map(|objects| objects.len() as u64).sum()
}

#[tokio::test]
async fn an_ended_session_is_an_error_that_a_new_start_heals() -> Outcome<()> {
    let scene = Scene::start(2).await?;
    let mut provider = Vsphere::open(&scene.settings()?)?;
    let mut running = Running::start(&mut provider);
    running.listing().await?;
    scene.vcsim.server.restart().await?;
    let error = loop {
        match running.next().await {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("Unavailable"), "{error}");
    drop(running);
    Running::start(&mut provider).listing().await?;
    Ok(())
}

async fn refusal(settings: Settings) -> String {
    let error = match Vsphere::open(&settings) {
        Ok(mut provider) => provider.check().await.expect_err("a refusal"),
        Err(error) => error,
    };
    format!("final: {}; {error}", error.is_final())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_remedy() -> Outcome<()> {
    let scene = Scene::start(2).await?;
    let settings = scene.settings()?;

    let credentials_file = scene.file("wrong", "username: me\npassword: \"wr<ong\"\n")?;
    let wrong = Settings { credentials_file: credentials_file.clone(), ..settings.clone() };
    let told = refusal(wrong).await;
    assert!(told.starts_with("final: true"), "{told}");
    for part in ["refuses user \"me\"", &credentials_file.display().to_string()] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("wr<ong"), "{told}");

    let other = Scene::start(2).await?;
    let ca_file = Some(other.vcsim.ca_file());
    let told = refusal(Settings { ca_file, ..settings.clone() }).await;
    assert!(told.starts_with("final: false") && told.contains("spec.ca_file"), "{told}");

    let url = "https://127.0.0.1:1/sdk".parse()?;
    let told = refusal(Settings { url, ..settings.clone() }).await;
    assert!(told.contains("can't reach vCenter https://127.0.0.1:1/sdk"), "{told}");

    let url = format!("{}/nothing", scene.vcsim.url()).parse()?;
    let told = refusal(Settings { url, ..settings }).await;
    assert!(told.contains("does not answer as a vCenter does"), "{told}");
    Ok(())
}
