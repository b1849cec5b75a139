//! Child processes: recognised for certain, ended for certain.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Error, LogTail};
use crate::wait::LOOK_EVERY;

/// A process; the start time tells it from a later one that got the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    /// Clock ticks between the machine's boot and the process's start.
    pub started: u64,
}

impl ProcessId {
    /// The living process with this id, if there is one; a zombie is not alive.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // proc(5): the second field is a name in parentheses that may hold anything;
        // after it the state is the first field and the start time the twentieth.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let started = fields.get(19)?.parse().ok()?;
        (fields[0] != "Z").then_some(Self { pid, started })
    }

    /// Whether exactly this process still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Its resident memory in KiB, while it runs.
    #[must_use]
    pub fn resident_kib(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok().filter(|_| self.is_alive())
    }

    /// Sends a signal to this process, if it still is that one.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may have ended in between: then there is nothing left to do.
            let _ = signal::kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks the process to end, and after `patience` makes it.
    pub async fn end(self, stop: Signal, patience: Duration) {
        self.signal(stop);
        let asked = Instant::now();
        while self.is_alive() && asked.elapsed() < patience {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.signal(Signal::SIGKILL);
    }
}

/// Whether each process that is started has a session of its own.
static OWN_SESSIONS: AtomicBool = AtomicBool::new(false);

/// Lets each process that is started from here on have a session of its own, as a service has:
/// Linux shares the processor among sessions before processes. For a few that are measured; of the
/// dozens of a test run some, such as a broker, were kept waiting for seconds.
pub fn own_sessions() {
    OWN_SESSIONS.store(true, Ordering::Relaxed);
}

/// How long a process may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Ends with this process, however this one ends.
    Test,
    /// Stays when this process ends.
    Detached,
}

/// A command, its log file, and the process that runs it, if one does.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) log: PathBuf,
    pub(crate) command: Command,
    pub(crate) lifetime: Lifetime,
    /// Runs as this user.
    pub(crate) user: Option<&'static str>,
    /// Asks for a clean end.
    pub(crate) stop: Signal,
    /// Ends it at once.
    pub(crate) death: Signal,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Nothing runs yet. The command's own input and output settings are not used.
    pub(crate) fn new(name: &str, command: Command, log: PathBuf, lifetime: Lifetime) -> Self {
        Self {
            name: name.to_owned(),
            log,
            command,
            lifetime,
            user: None,
            stop: Signal::SIGTERM,
            death: Signal::SIGKILL,
            child: Mutex::new(None),
        }
    }

    /// Starts the command, appending to the log; one that still runs is killed first.
    pub(crate) fn start(&self) -> Result<ProcessId, Error> {
        self.kill();
        let child = self.log_file().and_then(|log| spawn(self.guarded(log)?));
        let child = child.map_err(|source| Error::Spawn { name: self.name.clone(), source })?;
        let pid = child.id().cast_signed();
        *self.child() = Some(child);
        Ok(ProcessId::of(pid).unwrap_or(ProcessId { pid, started: 0 }))
    }

    /// The running process.
    pub(crate) fn id(&self) -> Option<ProcessId> {
        self.child().as_ref().and_then(|child| ProcessId::of(child.id().cast_signed()))
    }

    /// How it ended; nothing while it runs or before it was started.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        self.child().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// `kill -9`, as a crash would end it.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.child().as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        if let Some(id) = self.id() {
            id.signal(self.stop);
        }
    }

    pub(crate) fn log_tail(&self) -> LogTail {
        LogTail::of(&self.log)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_file(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(&self.log)
    }

    /// The command within `setpriv`, which sets the user and what happens when we die.
    fn guarded(&self, log: File) -> io::Result<Command> {
        let mut guarded = if OWN_SESSIONS.load(Ordering::Relaxed) {
            let mut session = Command::new("setsid");
            session.arg("setpriv");
            session
        } else {
            let mut group = Command::new("setpriv");
            group.process_group(0);
            group
        };
        if let Some(user) = self.user {
            as_user(&mut guarded, user);
        }
        if self.lifetime == Lifetime::Test {
            guarded.args(["--pdeathsig", self.death.as_str().trim_start_matches("SIG")]);
        }
        guarded.arg("--").arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(folder) = self.command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(guarded)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Detached {
            return;
        }
        if let Some(id) = self.id() {
            // The group: what the process itself has started goes with it. One that was just
            // started may have no group yet, and no children.
            if signal::killpg(Pid::from_raw(id.pid), self.death).is_err() {
                self.kill();
            }
        }
        if let Some(child) = self.child().as_mut() {
            let _ = child.wait();
        }
    }
}

/// Adds the arguments that make `setpriv` change the user.
pub(crate) fn as_user(setpriv: &mut Command, user: &str) {
    setpriv.args(["--reuid", user, "--regid", user, "--init-groups"]);
}

/// Runs a helper command to its end and returns what it printed.
pub(crate) async fn run(command: Command) -> Result<String, Error> {
    let name = Path::new(command.get_program()).display().to_string();
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| Error::Spawn { name: name.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Command { command: name, status: output.status, output: printed })
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts all children. Linux sends the death signal when the *thread* that started a child ends,
/// and a test's thread ends long before the test run.
static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            // Nobody waits for the answer only if the caller panicked.
            let _ = reply.send(command.spawn());
        }
    });
    orders
});

fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts children is gone");
    SPAWNER.send((command, reply)).map_err(|_| io::Error::other("the spawner thread is gone"))?;
    answer.recv().map_err(gone)?
}
