//! Whatever happens to persisters or servers under load, each record counts once and rows equal the
//! model.

mod ahead;
mod crashes;
mod happenings;
mod outages;
mod rebalances;
mod zombies;
