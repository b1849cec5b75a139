//! What the simulator can't do, told by a server that follows a script.

use super::*;
use crate::client::Client;
use crate::settings::{Credentials, Settings};
use chassis::Secret;
use expect_test::expect;
use provider::{Clock, Entity, Observation, ProviderError, observations};
use std::fmt::Write;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A method that is called, and what the answer holds.
type Step = (&'static str, String);

/// Serves the steps in their order, and returns what was asked.
async fn serve(listener: &TcpListener, steps: Vec<Step>) -> Vec<String> {
    let mut asked = Vec::new();
    for (method, content) in steps {
        let (mut stream, _) = listener.accept().await.unwrap();
        let body = body(&mut stream).await;
        assert!(body.contains(&format!("<{method} ")), "{method} is next, not {body}");
        stream.write_all(answer(method, &content).as_bytes()).await.unwrap();
        asked.push(body);
    }
    asked
}

async fn body(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

fn answer(method: &str, content: &str) -> String {
    let (status, name) = match content.starts_with("<faultcode>") {
        true => ("500 Internal Server Error", "Fault".to_owned()),
        false => ("200 OK", format!("{method}Response")),
    };
    let xml = format!(
        "<E:Envelope xmlns:E='e' xmlns:xsi='x'><E:Body><{name}>{content}</{name}></E:Body>\
         </E:Envelope>"
    );
    let length = xml.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{xml}")
}

fn fault(kind: &str, of: &str) -> String {
    format!(
        "<faultcode>ServerFaultCode</faultcode><faultstring/>\
         <detail><{kind}Fault xsi:type='{kind}'>{of}</{kind}Fault></detail>"
    )
}

/// Logs in, makes the filter, and waits for each of `updates`; then the session ends.
fn script(updates: &[Step]) -> Vec<Step> {
    let content = "<returnval><rootFolder type='Folder'>group-d1</rootFolder>\
        <propertyCollector type='PropertyCollector'>pc</propertyCollector>\
        <viewManager type='ViewManager'>views</viewManager>\
        <sessionManager type='SessionManager'>sessions</sessionManager></returnval>";
    let first = [
        ("RetrieveServiceContent", content.to_owned()),
        ("Login", "<returnval><key>k</key><userName>u</userName></returnval>".to_owned()),
        ("CreateFilter", String::new()),
    ];
    let last = ("WaitForUpdatesEx", fault("NotAuthenticated", ""));
    first.into_iter().chain(updates.iter().cloned()).chain([last]).collect()
}

fn page(truncated: bool, updates: &str) -> Step {
    let set = format!(
        "<returnval><version>1</version><filterSet>{updates}</filterSet>\
         <truncated>{truncated}</truncated></returnval>"
    );
    ("WaitForUpdatesEx", set)
}

fn update(kind: &str, (object_type, id): (&str, &str), changes: &[(&str, &str)]) -> String {
    let changes: String = changes
        .iter()
        .map(|(name, value)| format!("<changeSet><name>{name}</name>{value}</changeSet>"))
        .collect();
    format!(
        "<objectSet><kind>{kind}</kind><obj type='{object_type}'>{id}</obj>{changes}</objectSet>"
    )
}

/// Everything that is told, with the versions' distance from the listing's, how it ended, and what
/// was asked.
async fn told(steps: Vec<Step>) -> (String, ProviderError, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sdk", listener.local_addr().unwrap()).parse().unwrap();
    let client =
        Client::new(&Settings { url, credentials_file: "unused".into(), ca_file: None }).unwrap();
    let credentials =
        Credentials { username: "u".into(), password: Secret::new("p"), file: "file".into() };
    // Ahead of the clock, so that each version is the one after the last.
    let floor = Version::now().plus(Duration::from_hours(1));
    let (clock, issuer) = Clock::above(floor);
    issuer.raise(floor.plus(Duration::from_hours(1)));
    let (sink, mut observed) = observations(clock, 100);
    let types = ["folder", "host", "virtual_machine"].map(|name| TypeName::new(name).unwrap());
    let running = async {
        let mut session = Session::login(client, &credentials).await?;
        run(&mut session, &sink, &types).await
    };
    let (result, asked) = tokio::join!(running, serve(&listener, steps));
    let mut text = String::new();
    while let Ok(observation) = observed.try_recv() {
        writeln!(text, "{}", shown(observation, floor)).unwrap();
    }
    (text, result.unwrap_err().into(), asked)
}

fn shown(observation: Observation, floor: Version) -> String {
    let at = |version: Version| version.micros() - floor.micros();
    match observation {
        Observation::Listed(version, entity) => {
            format!("{} listed {}", at(version), words(&entity))
        }
        Observation::Complete(version, name, _) => format!("{} complete {name}", at(version)),
        Observation::ListingEnds(version) => format!("{} listing ends", at(version)),
        Observation::Changed(version, change) => match change {
            Change::Upsert(entity) => format!("{} upsert {}", at(version), words(&entity)),
            Change::Update(entity) => format!("{} update {}", at(version), words(&entity)),
            Change::Delete(name, id) => format!("{} delete {name} {id}", at(version)),
        },
        Observation::Alive => "alive".to_owned(),
    }
}

fn words(entity: &Entity) -> String {
    let mut words = format!("{} {}", entity.entity_type, entity.native_id);
    for (name, value) in &entity.attributes {
        write!(words, "\n  {name} = {value:?}").unwrap();
    }
    words
}

#[tokio::test]
async fn a_type_with_an_unreadable_object_is_not_completed() {
    let missing = "<missingSet><path>summary.hardware.vendor</path><fault><fault \
        xsi:type='NoPermission'><object type='HostSystem'>host-1</object>\
        <privilegeId>System.Read</privilegeId></fault></fault></missingSet></objectSet>";
    let host = update("enter", ("HostSystem", "host-1"), &[("name", "<val>esx</val>")]);
    let host = host.replace("</objectSet>", missing);
    let folder = update("enter", ("Folder", "group-d1"), &[("name", "<val>top</val>")]);
    let wait = [page(false, &(host + &folder)), ("WaitForUpdatesEx", String::new())];
    let (told, error, _) = told(script(&wait)).await;
    expect![[r#"
        2 update host host-1
          name = String("esx")
        1 listed folder group-d1
          name = String("top")
        1 complete folder
        1 complete virtual_machine
        alive
    "#]]
    .assert_eq(&told);
    assert!(matches!(&error, ProviderError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn an_object_that_is_being_made_is_asked_for_by_itself() {
    let missing = "<missingSet><path>parent</path><fault><fault xsi:type='ManagedObjectNotFound'/>\
        </fault></missingSet></objectSet>";
    let entering = |id| {
        let update = update("enter", ("Folder", id), &[("name", "<val>old</val>")]);
        update.replace("</objectSet>", missing)
    };
    let made = "<returnval><objects><obj type='Folder'>group-1</obj><propSet><name>name</name>\
        <val>new</val></propSet></objects></returnval>";
    let steps = [
        page(false, &[entering("group-1"), entering("group-2")].concat()),
        ("RetrievePropertiesEx", made.to_owned()),
        ("RetrievePropertiesEx", String::new()),
    ];
    let (told, _, _) = told(script(&steps)).await;
    expect![[r#"
        1 listed folder group-1
          name = String("new")
        1 complete folder
        1 complete host
        1 complete virtual_machine
        1 listing ends
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn what_changes_while_the_listing_is_paged_is_told() {
    let vm = ("VirtualMachine", "vm-1");
    let first = update("enter", vm, &[("runtime.powerState", "<val>poweredOn</val>")]);
    let second = [
        update("enter", ("HostSystem", "host-1"), &[]),
        update("modify", vm, &[("runtime.powerState", "<val>poweredOff</val>")]),
        update("modify", vm, &[("runtime.powerState", "<val>suspended</val>")]),
        update("leave", ("HostSystem", "host-1"), &[]),
    ];
    let read = "<returnval><token>more</token></returnval>".to_owned();
    let card = "<returnval><objects><obj type='VirtualMachine'>vm-1</obj><propSet>\
        <name>config.hardware.device</name><val><VirtualDevice><macAddress>00:50</macAddress>\
        </VirtualDevice></val></propSet></objects></returnval>";
    let steps = [
        page(true, &first),
        ("RetrievePropertiesEx", read),
        ("ContinueRetrievePropertiesEx", card.to_owned()),
        page(false, &second.concat()),
    ];
    let (told, _, asked) = told(script(&steps)).await;
    expect![[r#"
        1 listed virtual_machine vm-1
          power_state = String("on")
          mac_addresses = Array([String("00:50")])
        1 listed host host-1
        4 update virtual_machine vm-1
          power_state = String("off")
        5 update virtual_machine vm-1
          power_state = String("suspended")
        6 delete host host-1
        1 complete folder
        1 complete host
        1 complete virtual_machine
        1 listing ends
    "#]]
    .assert_eq(&told);
    assert!(asked[5].contains("<token>more</token>"), "{}", asked[5]);
}

#[tokio::test]
async fn a_change_of_a_part_is_read_as_a_whole() {
    let vm = ("VirtualMachine", "vm-1");
    let changes = [
        ("guest.net[4000].ipAddress", "<val><string>10.0.0.1</string></val>"),
        ("summary.storage", "<op>indirectRemove</op>"),
        ("name", "<val>new</val>"),
        ("guest.hostName", "<op>assign</op>"),
    ];
    let now = "<returnval><objects><obj type='VirtualMachine'>vm-1</obj><propSet>\
        <name>guest.net</name><val><GuestNicInfo><ipAddress>10.0.0.2</ipAddress></GuestNicInfo>\
        </val></propSet></objects></returnval>";
    let steps = [
        page(false, ""),
        page(false, &update("modify", vm, &changes)),
        ("RetrievePropertiesEx", now.to_owned()),
        page(false, &update("modify", vm, &[("guest.net[4000]", "<op>remove</op>")])),
        // Gone already.
        ("RetrievePropertiesEx", String::new()),
    ];
    let (told, _, asked) = told(script(&steps)).await;
    expect![[r#"
        1 complete folder
        1 complete host
        1 complete virtual_machine
        1 listing ends
        2 update virtual_machine vm-1
          name = String("new")
          hostname = Null
        3 update virtual_machine vm-1
          ip_addresses = Array([String("10.0.0.2")])
          disk_committed_bytes = Null
          disk_uncommitted_bytes = Null
    "#]]
    .assert_eq(&told);
    assert!(!asked[5].contains("<pathSet>name</pathSet>"), "{}", asked[5]);
}

#[tokio::test]
async fn a_lacking_privilege_is_named() {
    let of = "<object type='Folder'>group-d1</object><privilegeId>System.View</privilegeId>";
    let mut steps = script(&[]);
    steps.truncate(2);
    steps.push(("CreateFilter", fault("NoPermission", of)));
    let (_, error, _) = told(steps).await;
    assert!(error.is_final());
    let error = error.to_string();
    let (_, error) = error.split_once("/sdk: ").unwrap();
    let error = error.replace("; ", ";\n");
    expect![[r#"
        CreateFilter: NoPermission, privilege System.View on Folder group-d1;
        grant the account the role Read-only on the root folder, propagated to its children"#]]
    .assert_eq(&error);
}
