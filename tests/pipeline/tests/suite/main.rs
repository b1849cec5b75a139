//! The end-to-end suite, one module per behaviour. It is one program so that it is linked once and
//! its tests share their servers: what a test registers is of a type that no other test gives
//! another form.
#![expect(clippy::print_stdout, reason = "the figures are for whoever reads the run")]

mod dead_letters;
mod events;
mod evolution;
mod faults;
mod histories;
mod licence;
mod logs;
mod metrics;
mod operator;
mod orchestrator;
mod outside;
mod persister;
mod poison;
mod poison_schemas;
mod positions;
mod pressure;
mod purge;
mod refused;
mod registry;
mod transactions;
mod vcenter;
mod verify;
mod waiting;
mod watching;
