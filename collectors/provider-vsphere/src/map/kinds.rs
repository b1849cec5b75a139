//! The tables: which property becomes which attribute.

use super::values::{
    boolean, das_enabled, datastore_maintenance, drs_enabled, folder_kind, ip_addresses,
    known_time, limit, long, mac_addresses, name, power_state, reference, references, text, time,
    tools_status, vlan,
};
use super::{Kind, Row};
use crate::xml::Element;
use records::Value;

/// Every kind that is collected. Where one type of the API extends another, the table of the
/// first contains that of the second, so it does not matter which one a vCenter goes by.
pub const KINDS: &[Kind] = &[
    Kind { object_type: "Folder", entity_type: "folder", constants: Vec::new, rows: &[FOLDER] },
    Kind {
        object_type: "StoragePod",
        entity_type: "folder",
        constants: || vec![("kind", "datastore_cluster".into())],
        rows: &[STORAGE_POD],
    },
    Kind {
        object_type: "Datacenter",
        entity_type: "datacenter",
        constants: Vec::new,
        rows: &[DATACENTER],
    },
    Kind {
        object_type: "ComputeResource",
        entity_type: "cluster",
        constants: || vec![("standalone", true.into())],
        rows: &[COMPUTE_RESOURCE],
    },
    Kind {
        object_type: "ClusterComputeResource",
        entity_type: "cluster",
        constants: || vec![("standalone", false.into())],
        rows: &[COMPUTE_RESOURCE, CLUSTER],
    },
    Kind {
        object_type: "ResourcePool",
        entity_type: "resource_pool",
        constants: || vec![("kind", "resource_pool".into())],
        rows: &[RESOURCE_POOL],
    },
    Kind {
        object_type: "VirtualApp",
        entity_type: "resource_pool",
        constants: || vec![("kind", "virtual_appliance".into())],
        rows: &[RESOURCE_POOL],
    },
    Kind {
        object_type: "Datastore",
        entity_type: "datastore",
        constants: Vec::new,
        rows: &[DATASTORE],
    },
    Kind {
        object_type: "Network",
        entity_type: "network",
        constants: || vec![("kind", "standard".into())],
        rows: &[NETWORK],
    },
    Kind {
        object_type: "OpaqueNetwork",
        entity_type: "network",
        constants: || vec![("kind", "opaque".into())],
        rows: &[NETWORK],
    },
    Kind {
        object_type: "DistributedVirtualPortgroup",
        entity_type: "network",
        constants: || vec![("kind", "distributed".into())],
        rows: &[NETWORK, PORTGROUP],
    },
    Kind { object_type: "HostSystem", entity_type: "host", constants: Vec::new, rows: &[HOST] },
    Kind {
        object_type: "VirtualMachine",
        entity_type: "virtual_machine",
        constants: Vec::new,
        rows: &[VIRTUAL_MACHINE],
    },
];

const FOLDER: &[Row] = &[
    row("name", "name", name),
    row("parent", "parent_ref", reference),
    row("childType", "kind", folder_kind),
];

const STORAGE_POD: &[Row] = &[row("name", "name", name), row("parent", "parent_ref", reference)];

const DATACENTER: &[Row] = &[
    row("name", "name", name),
    row("parent", "folder_ref", reference),
    row("vmFolder", "vm_folder_ref", reference),
    row("hostFolder", "host_folder_ref", reference),
    row("datastoreFolder", "datastore_folder_ref", reference),
    row("networkFolder", "network_folder_ref", reference),
];

const COMPUTE_RESOURCE: &[Row] = &[
    row("name", "name", name),
    row("parent", "folder_ref", reference),
    row("resourcePool", "resource_pool_ref", reference),
    row("datastore", "datastore_refs", references),
    row("network", "network_refs", references),
    row("summary.totalCpu", "total_cpu_mhz", long),
    row("summary.totalMemory", "total_memory_bytes", long),
    row("summary.numCpuCores", "cpu_cores", long),
    row("summary.numCpuThreads", "cpu_threads", long),
    row("summary.numHosts", "hosts", long),
    row("summary.numEffectiveHosts", "effective_hosts", long),
];

const CLUSTER: &[Row] = &[
    row("configurationEx", "drs_enabled", drs_enabled),
    row("configurationEx", "ha_enabled", das_enabled),
];

const RESOURCE_POOL: &[Row] = &[
    row("name", "name", name),
    row("parent", "parent_ref", reference),
    row("owner", "cluster_ref", reference),
    row("config.cpuAllocation.reservation", "cpu_reservation_mhz", long),
    row("config.cpuAllocation.limit", "cpu_limit_mhz", limit),
    row("config.cpuAllocation.shares.shares", "cpu_shares", long),
    row("config.memoryAllocation.reservation", "memory_reservation_mb", long),
    row("config.memoryAllocation.limit", "memory_limit_mb", limit),
    row("config.memoryAllocation.shares.shares", "memory_shares", long),
];

const DATASTORE: &[Row] = &[
    row("name", "name", name),
    row("parent", "folder_ref", reference),
    row("summary.type", "kind", text),
    row("summary.url", "url", text),
    row("summary.capacity", "capacity_bytes", long),
    row("summary.freeSpace", "free_bytes", long),
    row("summary.accessible", "accessible", boolean),
    row("summary.multipleHostAccess", "multiple_host_access", boolean),
    row("summary.maintenanceMode", "maintenance_mode", datastore_maintenance),
];

const NETWORK: &[Row] = &[
    row("name", "name", name),
    row("parent", "folder_ref", reference),
    row("summary.accessible", "accessible", boolean),
];

const PORTGROUP: &[Row] = &[row("config.defaultPortConfig", "vlan", vlan)];

const HOST: &[Row] = &[
    row("name", "name", name),
    row("parent", "cluster_ref", reference),
    row("datastore", "datastore_refs", references),
    row("network", "network_refs", references),
    row("summary.hardware.vendor", "vendor", text),
    row("summary.hardware.model", "model", text),
    row("summary.hardware.uuid", "uuid", text),
    row("summary.hardware.cpuModel", "cpu_model", text),
    row("summary.hardware.cpuMhz", "cpu_mhz", long),
    row("summary.hardware.numCpuPkgs", "cpu_sockets", long),
    row("summary.hardware.numCpuCores", "cpu_cores", long),
    row("summary.hardware.numCpuThreads", "cpu_threads", long),
    row("summary.hardware.memorySize", "memory_bytes", long),
    row("summary.config.product.name", "product_name", text),
    row("summary.config.product.version", "product_version", text),
    row("summary.config.product.build", "product_build", text),
    row("runtime.powerState", "power_state", power_state),
    row("runtime.connectionState", "connection_state", text),
    row("runtime.inMaintenanceMode", "maintenance_mode", boolean),
    row("runtime.bootTime", "boot_time", time),
];

const VIRTUAL_MACHINE: &[Row] = &[
    row("name", "name", name),
    row("parent", "folder_ref", reference),
    row("resourcePool", "resource_pool_ref", reference),
    row("datastore", "datastore_refs", references),
    row("network", "network_refs", references),
    row("config.uuid", "uuid", text),
    row("config.instanceUuid", "instance_uuid", text),
    row("config.template", "template", boolean),
    row("config.hardware.numCPU", "cpus", long),
    row("config.hardware.numCoresPerSocket", "cores_per_socket", long),
    row("config.hardware.memoryMB", "memory_mb", long),
    Row {
        watched_by: Some("config.changeVersion"),
        ..row("config.hardware.device", "mac_addresses", mac_addresses)
    },
    row("config.guestFullName", "guest_os", text),
    row("config.guestId", "guest_id", text),
    row("config.version", "hardware_version", text),
    row("config.annotation", "annotation", text),
    row("config.createDate", "created_at", known_time),
    row("guest.hostName", "hostname", text),
    row("guest.ipAddress", "ip_address", text),
    row("guest.net", "ip_addresses", ip_addresses),
    row("guest.toolsStatus", "tools_status", tools_status),
    row("guest.toolsVersion", "tools_version", text),
    row("runtime.powerState", "power_state", power_state),
    row("runtime.connectionState", "connection_state", text),
    row("runtime.bootTime", "boot_time", time),
    row("runtime.host", "host_ref", reference),
    row("summary.storage.committed", "disk_committed_bytes", long),
    row("summary.storage.uncommitted", "disk_uncommitted_bytes", long),
];

const fn row(path: &'static str, attribute: &'static str, value: fn(&Element) -> Value) -> Row {
    Row { path, watched_by: None, attribute, value }
}
