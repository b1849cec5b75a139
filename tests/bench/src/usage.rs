//! What processes have used, from /proc.

use crate::error::Error;
use std::collections::HashMap;
use std::fs;
use std::time::Instant;

/// Clock ticks of a second, as Linux tells programs on every machine that it runs on.
const TICKS: f64 = 100.0;

/// CPU seconds until now.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// When this was read.
    pub at: Instant,
    /// Of the contender: what this process has started, but for the servers.
    pub client: f64,
    /// Of PostgreSQL.
    pub postgres: f64,
    /// Of Kafka.
    pub kafka: f64,
    /// Of everything that is none of ours.
    pub others: f64,
}

/// The servers whose use is told apart, by process id.
#[derive(Debug, Clone, Copy)]
pub struct Servers {
    /// PostgreSQL's first process.
    pub postgres: i32,
    /// The broker.
    pub kafka: i32,
    /// The registry.
    pub registry: i32,
}

/// A process: its parent, what it used itself, and what its ended children used.
struct Process {
    parent: i32,
    own: f64,
    ended: f64,
}

impl Usage {
    /// Reads /proc.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(servers: Servers) -> Result<Self, Error> {
        let at = Instant::now();
        let processes = processes()?;
        let me = std::process::id().cast_signed();
        let [postgres, kafka, registry, all] =
            [servers.postgres, servers.kafka, servers.registry, me].map(|id| used(&processes, id));
        let own = processes.get(&me).map_or(0.0, |process| process.own);
        let client = all - own - postgres - kafka - registry;
        Ok(Self { at, client, postgres, kafka, others: busy()? - all })
    }
}

/// The most memory that a process has had, MiB.
#[must_use]
pub fn peak_mib(pid: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn processes() -> Result<HashMap<i32, Process>, Error> {
    let entries = fs::read_dir("/proc").map_err(Error::at("/proc"))?;
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(ids.filter_map(|id| Some((id, process(id)?))).collect())
}

/// proc(5): after the name in parentheses come state, parent, ..., and as fields 12 to 15 the ticks
/// of user and system, its own and of the children that have ended.
fn process(id: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) / TICKS,
        ended: (ticks(13)? + ticks(14)?) / TICKS,
    })
}

/// A process and all below it, by their ids.
///
/// # Errors
/// [`Error::File`].
pub fn family(root: i32) -> Result<Vec<i32>, Error> {
    Ok(tree(&processes()?, root))
}

fn tree(processes: &HashMap<i32, Process>, root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(processes.iter().filter(|(_, p)| p.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// What a process and all below it have used.
fn used(processes: &HashMap<i32, Process>, root: i32) -> f64 {
    let tree = tree(processes, root);
    tree.iter().filter_map(|id| processes.get(id)).map(|process| process.own + process.ended).sum()
}

/// What all processors have done: user, nice, system, and for interrupts.
fn busy() -> Result<f64, Error> {
    let stat = fs::read_to_string("/proc/stat").map_err(Error::at("/proc/stat"))?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    Ok([0, 1, 2, 5, 6].iter().filter_map(|index| ticks.get(*index)).sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_a_process_and_all_below_it() {
        let process = |parent, own| Process { parent, own, ended: 0.5 };
        let processes =
            HashMap::from([(1, process(0, 1.0)), (2, process(1, 2.0)), (3, process(2, 4.0))]);
        assert_eq!(used(&processes, 2), 7.0);
    }
}
