//! From a property's value to an attribute's.

use crate::time::micros;
use crate::xml::Element;
use records::Value;

/// The limit that means: none (`ResourceAllocationInfo.limit`).
const UNLIMITED: i64 = -1;

/// A text; an empty one is none.
pub fn text(value: &Element) -> Value {
    Some(value.text.as_str()).filter(|text| !text.is_empty()).into()
}

/// The name of an object of the inventory, in which `/`, `\` and `%` are escaped
/// (`ManagedEntity.name`).
pub fn name(value: &Element) -> Value {
    let mut name = String::with_capacity(value.text.len());
    let mut rest = value.text.as_str();
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        let escaped = match escape.get(1..3) {
            Some("2f" | "2F") => '/',
            Some("5c" | "5C") => '\\',
            Some("25") => '%',
            _ => '\0',
        };
        name.push_str(before);
        // A % that begins no escape counts as it is.
        let length = if escaped == '\0' { 1 } else { 3 };
        name.push(if escaped == '\0' { '%' } else { escaped });
        rest = &escape[length..];
    }
    name.push_str(rest);
    name.into()
}

/// A whole number.
pub fn long(value: &Element) -> Value {
    value.text.parse::<i64>().ok().into()
}

/// A whole number, or -1 for: no limit.
pub fn limit(value: &Element) -> Value {
    value.text.parse::<i64>().ok().filter(|limit| *limit != UNLIMITED).into()
}

/// `true` or `false`, which XML also writes as 1 or 0.
pub fn boolean(value: &Element) -> Value {
    match value.text.as_str() {
        "true" | "1" => true.into(),
        "false" | "0" => false.into(),
        _ => Value::Null,
    }
}

/// A time.
pub fn time(value: &Element) -> Value {
    micros(&value.text).map_or(Value::Null, Value::Timestamp)
}

/// A time, or the epoch for: not known (`VirtualMachineConfigInfo.createDate` of virtual machines
/// that are older than this property).
pub fn known_time(value: &Element) -> Value {
    match micros(&value.text) {
        None | Some(0) => Value::Null,
        Some(micros) => Value::Timestamp(micros),
    }
}

/// A reference to an object.
pub fn reference(value: &Element) -> Value {
    text(value)
}

/// References to objects: a set, whose order is not stable in the API.
pub fn references(value: &Element) -> Value {
    let mut ids: Vec<_> = value.children.iter().map(|child| child.text.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into()
}

/// `VirtualMachinePowerState` or `HostSystemPowerState`.
pub fn power_state(value: &Element) -> Value {
    one_of(
        value,
        &[
            ("poweredOn", "on"),
            ("poweredOff", "off"),
            ("suspended", "suspended"),
            ("standBy", "standby"),
            ("unknown", "unknown"),
        ],
    )
}

/// `VirtualMachineToolsStatus`.
pub fn tools_status(value: &Element) -> Value {
    one_of(
        value,
        &[
            ("toolsOk", "ok"),
            ("toolsOld", "old"),
            ("toolsNotRunning", "not_running"),
            ("toolsNotInstalled", "not_installed"),
        ],
    )
}

/// `DatastoreSummaryMaintenanceModeState`.
pub fn datastore_maintenance(value: &Element) -> Value {
    match value.text.as_str() {
        "normal" => false.into(),
        "enteringMaintenance" | "inMaintenance" => true.into(),
        _ => Value::Null,
    }
}

/// `Folder.childType`: what may be in it beside folders.
pub fn folder_kind(value: &Element) -> Value {
    let kinds = [
        ("Datacenter", "datacenter"),
        ("VirtualMachine", "virtual_machine"),
        ("ComputeResource", "cluster"),
        ("Datastore", "datastore"),
        ("Network", "network"),
    ];
    let allows = |wanted: &str| value.children.iter().any(|child| child.text == wanted);
    kinds.iter().find(|(child_type, _)| allows(child_type)).map(|(_, kind)| *kind).into()
}

/// Of `ClusterConfigInfoEx`.
pub fn drs_enabled(value: &Element) -> Value {
    enabled(value, "drsConfig")
}

/// Of `ClusterConfigInfoEx`.
pub fn das_enabled(value: &Element) -> Value {
    enabled(value, "dasConfig")
}

/// Of an array of `GuestNicInfo`: every address once.
pub fn ip_addresses(value: &Element) -> Value {
    let cards = value.children.iter();
    distinct(cards.flat_map(|card| card.children_named("ipAddress")))
}

/// Of an array of `VirtualDevice`: only network cards have a `macAddress`.
pub fn mac_addresses(value: &Element) -> Value {
    distinct(value.children.iter().filter_map(|device| device.child("macAddress")))
}

/// Of `VMwareDVSPortSetting`: its `vlan` is one of an id, the ranges of a trunk, a private VLAN.
pub fn vlan(value: &Element) -> Value {
    let Some(vlan) = value.child("vlan") else { return Value::Null };
    let ids = vlan.children_named("vlanId").chain(vlan.children_named("pvlanId"));
    let shown = |id: &Element| match (id.text_of("start"), id.text_of("end")) {
        ("", _) => id.text.trim().to_owned(),
        (start, end) if start == end => start.to_owned(),
        (start, end) => format!("{start}-{end}"),
    };
    let ids: Vec<_> = ids.map(shown).filter(|id| !id.is_empty()).collect();
    Some(ids.join(",")).filter(|vlan| !vlan.is_empty()).into()
}

fn enabled(config: &Element, part: &str) -> Value {
    let enabled = config.child(part).and_then(|part| part.child("enabled"));
    enabled.map_or(Value::Null, boolean)
}

/// A value that nobody knows yet says nothing.
fn one_of(value: &Element, words: &[(&str, &'static str)]) -> Value {
    let word = words.iter().find(|(theirs, _)| *theirs == value.text);
    word.map(|(_, ours)| *ours).into()
}

/// The texts in their order, none twice.
fn distinct<'a>(elements: impl Iterator<Item = &'a Element>) -> Value {
    let mut texts: Vec<String> = Vec::new();
    for element in elements {
        if !element.text.is_empty() && !texts.contains(&element.text) {
            texts.push(element.text.clone());
        }
    }
    texts.into()
}
