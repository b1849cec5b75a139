//! The ways by which the property collector reaches every object from the root folder.
//!
//! It follows them again whenever one of the properties on the way changes, and so tells what
//! comes and goes.

use std::fmt::Write;

/// One step: from an object of a type, by a property, to others (`TraversalSpec`).
struct Step {
    name: &'static str,
    from: &'static str,
    by: &'static str,
    then: &'static [&'static str],
}

/// The inventory's tree. Only the way through hosts and clusters goes on to pools, so that no
/// virtual machine is asked for its pool. A virtual machine is in a folder, or in a virtual
/// appliance, which is a pool; appliances may be nested.
const STEPS: &[Step] = &[
    step("tops", ("Folder", "childEntity"), &["tops", "vms", "hosts", "datastores", "networks"]),
    step("vms", ("Datacenter", "vmFolder"), &["folders"]),
    step("hosts", ("Datacenter", "hostFolder"), &["clusters"]),
    step("datastores", ("Datacenter", "datastoreFolder"), &["folders"]),
    step("networks", ("Datacenter", "networkFolder"), &["folders"]),
    step("folders", ("Folder", "childEntity"), &["folders"]),
    step("clusters", ("Folder", "childEntity"), &["clusters", "cluster_hosts", "cluster_pool"]),
    step("cluster_hosts", ("ComputeResource", "host"), &[]),
    step("cluster_pool", ("ComputeResource", "resourcePool"), &["pools", "appliance_vms"]),
    step("pools", ("ResourcePool", "resourcePool"), &["pools", "appliance_vms"]),
    step("appliance_vms", ("VirtualApp", "vm"), &[]),
];

/// All steps as the `selectSet` of the root folder.
#[must_use]
pub fn select_set() -> String {
    STEPS.iter().map(Step::xml).collect()
}

const fn step(
    name: &'static str,
    (from, by): (&'static str, &'static str),
    then: &'static [&'static str],
) -> Step {
    Step { name, from, by, then }
}

impl Step {
    fn xml(&self) -> String {
        let Self { name, from, by, then } = self;
        let mut xml = format!(
            "<selectSet xsi:type=\"TraversalSpec\"><name>{name}</name><type>{from}</type>\
             <path>{by}</path><skip>false</skip>"
        );
        for next in *then {
            let written = write!(xml, "<selectSet><name>{next}</name></selectSet>");
            written.expect("writing to a String never fails");
        }
        xml + "</selectSet>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;
    use std::collections::BTreeSet;

    #[test]
    fn every_step_is_there_once_and_leads_to_others() {
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        assert!(STEPS.iter().flat_map(|step| step.then).all(|next| names.contains(next)));
        let xml = Element::parse(&format!("<x xmlns:xsi='x'>{}</x>", select_set())).unwrap();
        assert_eq!(xml.children.len(), STEPS.len());
    }
}
