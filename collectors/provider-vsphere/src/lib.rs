//! provider-vsphere.
