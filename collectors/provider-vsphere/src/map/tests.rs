//! Objects as a vCenter tells them, and the entities that they become.

use super::*;
use crate::updates::UpdateSet;
use expect_test::{Expect, expect};
use std::collections::BTreeSet;
use std::fmt::Write;

/// One object in an `UpdateSet`.
fn told(object_type: &str, id: &str, changes: &str) -> ObjectContent {
    let set = format!(
        r#"<returnval xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><version>1</version>
        <filterSet><filter type="PropertyFilter">f</filter><objectSet><kind>enter</kind>
        <obj type="{object_type}">{id}</obj>{changes}</objectSet></filterSet></returnval>"#
    );
    let set = UpdateSet::read(Element::parse(&set).unwrap()).unwrap();
    set.objects.into_iter().next().unwrap().content
}

fn change(name: &str, value: &str) -> String {
    format!("<changeSet><name>{name}</name><op>assign</op>{value}</changeSet>")
}

fn check(content: &ObjectContent, expected: &Expect) {
    let entity = kind(&content.object).unwrap().entity(content).unwrap();
    let mut shown = format!("{} {}\n", entity.entity_type, entity.native_id);
    for (name, value) in entity.attributes {
        writeln!(shown, "{name} = {value:?}").unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn every_attribute_that_the_api_can_give_is_given_once() {
    // What the API does not tell of a standalone host, or only of one kind of network.
    let mut not_given = BTreeSet::new();
    for kind in KINDS {
        let entity_type = records::builtin::entity_type(kind.entity_type);
        let known: BTreeSet<_> =
            entity_type.attributes().iter().map(|attribute| attribute.name.to_string()).collect();
        let constants = (kind.constants)();
        let given = kind.all_rows().map(|row| row.attribute);
        let given: Vec<_> = given.chain(constants.iter().map(|(name, _)| *name)).collect();
        let distinct: BTreeSet<_> = given.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(given.len(), distinct.len(), "{}", kind.object_type);
        assert!(distinct.is_subset(&known), "{}", kind.object_type);
        not_given
            .extend(known.difference(&distinct).map(|name| format!("{} {name}", kind.object_type)));
    }
    expect![[r#"
        ComputeResource drs_enabled
        ComputeResource ha_enabled
        Network vlan
        OpaqueNetwork vlan"#]]
    .assert_eq(&not_given.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_virtual_machine() {
    let nic = "<VirtualDevice xsi:type=\"VirtualE1000\"><key>4000</key>\
        <macAddress>00:0c:29:36:63:62</macAddress></VirtualDevice>";
    let disk = "<VirtualDevice xsi:type=\"VirtualDisk\"><key>204</key></VirtualDevice>";
    let changes = [
        change("name", r#"<val xsi:type="xsd:string">a%2fb 100%25 %5c%zz é</val>"#),
        change("config.hardware.numCPU", r#"<val xsi:type="xsd:int">2</val>"#),
        change("config.template", r#"<val xsi:type="xsd:boolean">false</val>"#),
        change("config.annotation", ""),
        change("config.createDate", "<val>1970-01-01T00:00:00Z</val>"),
        change("config.hardware.device", &format!("<val>{disk}{nic}{nic}</val>")),
        change(
            "guest.net",
            "<val><GuestNicInfo><network>VM Network</network><ipAddress>10.0.0.1</ipAddress>\
             <ipAddress>fe80::1</ipAddress></GuestNicInfo><GuestNicInfo/></val>",
        ),
        change("guest.toolsStatus", "<val>toolsOld</val>"),
        change("runtime.powerState", "<val>poweredOn</val>"),
        change("runtime.bootTime", "<val>2026-11-25T00:49:51.428056Z</val>"),
        change("runtime.host", r#"<val type="HostSystem">host-22</val>"#),
        change(
            "datastore",
            r#"<val><ManagedObjectReference type="Datastore">datastore-9</ManagedObjectReference>
            <ManagedObjectReference type="Datastore">datastore-10</ManagedObjectReference></val>"#,
        ),
        change("something.else", "<val>1</val>"),
    ];
    check(
        &told("VirtualMachine", "vm-1", &changes.concat()),
        &expect![[r#"
        virtual_machine vm-1
        name = String("a/b 100% \\%zz é")
        cpus = Long(2)
        template = Boolean(false)
        annotation = Null
        created_at = Null
        mac_addresses = Array([String("00:0c:29:36:63:62")])
        ip_addresses = Array([String("10.0.0.1"), String("fe80::1")])
        tools_status = String("old")
        power_state = String("on")
        boot_time = Timestamp(1795567791428056)
        host_ref = String("host-22")
        datastore_refs = Array([String("datastore-10"), String("datastore-9")])
    "#]],
    );
}

#[test]
fn a_cluster_and_its_switches() {
    let configuration = r#"<val xsi:type="ClusterConfigInfoEx"><dasConfig><enabled>true</enabled>
        <hostMonitoring>enabled</hostMonitoring></dasConfig><drsConfig><enabled>false</enabled>
        </drsConfig></val>"#;
    let changes = change("configurationEx", configuration);
    check(
        &told("ClusterComputeResource", "domain-c1", &changes),
        &expect![[r#"
        cluster domain-c1
        drs_enabled = Boolean(false)
        ha_enabled = Boolean(true)
        standalone = Boolean(false)
    "#]],
    );
}

#[test]
fn a_standalone_host_has_a_cluster_of_its_own() {
    let changes = change("name", "<val>esx1</val>");
    check(
        &told("ComputeResource", "domain-s1", &changes),
        &expect![[r#"
        cluster domain-s1
        name = String("esx1")
        standalone = Boolean(true)
    "#]],
    );
}

#[test]
fn folders_are_told_by_what_they_may_hold() {
    let types =
        "<val><string>Folder</string><string>Datastore</string><string>StoragePod</string></val>";
    check(
        &told("Folder", "group-s1", &change("childType", types)),
        &expect![[r#"
        folder group-s1
        kind = String("datastore")
    "#]],
    );
    check(
        &told("StoragePod", "group-p1", &change("name", "<val>pod</val>")),
        &expect![[r#"
        folder group-p1
        name = String("pod")
        kind = String("datastore_cluster")
    "#]],
    );
}

#[test]
fn limits_of_minus_one_are_none() {
    let changes = [
        change("config.cpuAllocation.limit", "<val>-1</val>"),
        change("config.memoryAllocation.limit", "<val>512</val>"),
        change("owner", r#"<val type="ClusterComputeResource">domain-c1</val>"#),
    ];
    check(
        &told("VirtualApp", "resgroup-v1", &changes.concat()),
        &expect![[r#"
        resource_pool resgroup-v1
        cpu_limit_mhz = Null
        memory_limit_mb = Long(512)
        cluster_ref = String("domain-c1")
        kind = String("virtual_appliance")
    "#]],
    );
}

#[test]
fn vlans_are_an_id_or_ranges() {
    let vlan = |vlan: &str| {
        let value = format!("<val><vlan><inherited>false</inherited>{vlan}</vlan></val>");
        let changes = change("config.defaultPortConfig", &value);
        let content = told("DistributedVirtualPortgroup", "dvportgroup-1", &changes);
        kind(&content.object).unwrap().changed(&content).unwrap().attributes[0].1.clone()
    };
    assert_eq!(vlan("<vlanId>42</vlanId>"), "42".into());
    assert_eq!(vlan("<pvlanId>7</pvlanId>"), "7".into());
    let range = |start, end| format!("<vlanId><start>{start}</start><end>{end}</end></vlanId>");
    assert_eq!(vlan(&format!("{}{}", range(0, 99), range(200, 200))), "0-99,200".into());
    assert_eq!(vlan(""), Value::Null);
}

#[test]
fn a_change_of_a_part_concerns_what_it_is_in() {
    let vm = kind(&told("VirtualMachine", "vm-1", "").object).unwrap();
    assert_eq!(vm.concerned("guest.net[4000].ipAddress"), ["guest.net"]);
    assert_eq!(vm.concerned("config.changeVersion"), ["config.hardware.device"]);
    assert_eq!(vm.concerned("summary.storage").len(), 2);
    assert_eq!(vm.concerned("guest.network"), Vec::<&str>::new());
    assert!(vm.has_value("guest.net"));
    assert!(!vm.has_value("guest") && !vm.has_value("config.changeVersion"));
    assert!(!vm.watched().contains(&"config.hardware.device"));
    assert_eq!(vm.unwatched(), ["config.hardware.device"]);
}

#[test]
fn what_could_not_be_read_is_missing() {
    let content = told(
        "HostSystem",
        "host-1",
        r#"<missingSet><path>summary.hardware.vendor</path><fault><fault xsi:type="NoPermission">
        <object type="HostSystem">host-1</object><privilegeId>System.Read</privilegeId></fault>
        <localizedMessage>denied</localizedMessage></fault></missingSet>"#,
    );
    let [(path, fault)] = &content.missing[..] else { panic!("{content:?}") };
    expect!["NoPermission, privilege System.Read on HostSystem host-1 (denied)"]
        .assert_eq(&fault.to_string());
    assert_eq!(path, "summary.hardware.vendor");
    let read = content.clone().with_nulls(&["summary.hardware.vendor", "runtime.bootTime"]);
    assert_eq!(read.properties, [("runtime.bootTime".to_owned(), None)]);
}
