//! Divides the processor's cores, so that programs have some of their own as on machines of their
//! own: whoever sends a flood must not take them from whoever has to withstand it.

use crate::error::Error;
use crate::rig::Rig;
use crate::usage::family;
use harness::Program;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;

/// While this lives, the cores are divided.
pub struct Divided {
    all: CpuSet,
    processes: Vec<i32>,
}

impl Divided {
    /// Kafka and this process, which sends, have one half of the cores; PostgreSQL and the
    /// persister have the other. Threads and processes that they start later stay there.
    ///
    /// # Errors
    /// [`Error::Cores`], also if there is only one; [`Error::File`].
    pub fn new(rig: &Rig, persister: &Program) -> Result<Self, Error> {
        let all = sched_getaffinity(Pid::from_raw(0)).map_err(Error::Cores)?;
        let cores: Vec<usize> =
            (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or_default()).collect();
        let (sends, applies) = cores.split_at(cores.len() / 2);
        let parts = rig.world.parts();
        let of = |server: &harness::Server| server.id().map(|id| id.pid);
        let own = std::process::id().cast_signed();
        let senders = [vec![own], Vec::from_iter(of(&parts.kafka.server))].concat();
        let mut appliers = Vec::from_iter(persister.id().map(|id| id.pid));
        if let Some(postgres) = of(&parts.postgres.server) {
            appliers.extend(family(postgres)?);
        }
        let divided = Self { all, processes: [senders.clone(), appliers.clone()].concat() };
        keep(&senders, &set_of(sends)?)?;
        keep(&appliers, &set_of(applies)?)?;
        Ok(divided)
    }
}

impl Drop for Divided {
    fn drop(&mut self) {
        // Who may use fewer may also use more; who has ended needs nothing.
        let _ = keep(&self.processes, &self.all);
    }
}

fn set_of(cores: &[usize]) -> Result<CpuSet, Error> {
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|core| set.set(*core)).map_err(Error::Cores)?;
    Ok(set)
}

/// Keeps all threads of processes to these cores; those that end meanwhile are no problem.
fn keep(processes: &[i32], cores: &CpuSet) -> Result<(), Error> {
    for process in processes {
        let folder = format!("/proc/{process}/task");
        for thread in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let id = thread.file_name().to_str().and_then(|name| name.parse().ok());
            match id.map(|id| sched_setaffinity(Pid::from_raw(id), cores)) {
                None | Some(Ok(()) | Err(Errno::ESRCH)) => {}
                Some(Err(refused)) => return Err(Error::Cores(refused)),
            }
        }
    }
    Ok(())
}
