//! The objects that are sent: virtual machines whose values follow from their number alone.

use records::{EntityType, Value};

/// The schema of what ours get; the peers get the same without the update mask.
pub const AVSC: &str = include_str!("bench_vm.avsc");

/// The attributes that a partial update touches.
pub const PARTIAL: [&str; 2] = ["power_state", "memory_mb"];

const SECOND: i64 = 1_000_000;

/// 2026-01-01, in microseconds since the epoch.
const CREATED: i64 = 1_767_225_600 * SECOND;

const NOTE: &str =
    "Owned by the platform team; patched in the second week of each month, ask first.";

const SYSTEMS: [&str; 4] =
    ["Debian GNU/Linux 12 (64-bit)", "Red Hat Enterprise Linux 9", "Windows Server 2022", "Other"];

/// The entity type.
///
/// # Panics
/// If `bench_vm.avsc` is no entity type.
#[must_use]
pub fn entity_type() -> EntityType {
    EntityType::parse(AVSC).expect("the file beside this one is an entity type")
}

/// The name that the source gives to an object.
#[must_use]
pub fn native_id(number: u64) -> String {
    format!("vm-{number}")
}

/// All attributes of an object, after so many changes. Times are whole seconds: a peer loses the
/// milliseconds, and its rows could not be compared.
#[must_use]
pub fn attributes(number: u64, changes: u64) -> Vec<(&'static str, Value)> {
    let chance = scatter(number);
    let pick = |shift: u32, of: u64| (chance >> shift) % of;
    let on = (chance ^ changes) & 1 == 1;
    let boot = CREATED + signed(pick(8, 86_400)) * SECOND;
    vec![
        ("name", format!("app-{:03}-node-{number:07}", pick(4, 500)).into()),
        ("uuid", uuid(chance, scatter(chance)).into()),
        ("power_state", if on { "on" } else { "off" }.into()),
        ("template", (pick(20, 50) == 0).into()),
        ("cpus", Value::Long(1 << pick(12, 5))),
        ("memory_mb", Value::Long(signed(1024 * (1 + pick(16, 64)) + changes))),
        ("cpu_usage", Value::Double(pick(24, 1000) as f64 / 8.0 + changes as f64)),
        ("disk_bytes", Value::Long(signed(pick(3, 1 << 40)))),
        ("hostname", on.then(|| format!("node-{number:07}.example.com")).into()),
        ("ip_address", on.then(|| format!("10.{}.{}.7", pick(5, 256), pick(13, 256))).into()),
        ("guest_os", SYSTEMS[pick(28, 4) as usize].into()),
        ("tools_version", Value::Long(12_000 + signed(pick(30, 20)))),
        ("hardware_version", format!("vmx-{}", 13 + pick(32, 8)).into()),
        ("annotation", (pick(36, 2) == 0).then_some(NOTE).into()),
        ("boot_time", if on { Value::Timestamp(boot) } else { Value::Null }),
        ("created_at", Value::Timestamp(CREATED - signed(pick(40, 1 << 20)) * SECOND)),
        ("host_ref", format!("host-{}", pick(44, 400)).into()),
        ("folder_ref", format!("group-v{}", pick(48, 90)).into()),
        ("resource_pool_ref", format!("resgroup-{}", pick(52, 60)).into()),
        ("datastore_ref", format!("datastore-{}", pick(56, 120)).into()),
    ]
}

/// A number that looks like chance (`SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn uuid(high: u64, low: u64) -> String {
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_of_the_schema_has_a_value_of_its_type() {
        let names: Vec<_> = attributes(7, 0).into_iter().map(|(name, _)| name).collect();
        let entity = entity_type();
        let wanted: Vec<_> = entity.attributes().iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_change_changes_the_attributes_of_a_partial_update() {
        let (before, after) = (attributes(7, 0), attributes(7, 1));
        let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
        let changed: Vec<_> = changed.map(|((name, _), _)| *name).collect();
        assert!(PARTIAL.iter().all(|name| changed.contains(name)), "{changed:?}");
    }
}
