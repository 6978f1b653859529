//! A server that runs beside the tests and can be hurt: frozen, killed, started again.
//!
//! Invariant: the kernel ends it with us. It does so with the *thread* that started it, and a test's thread ends before the
//! tests that share the server do, so each server is started by a thread that waits for its end.

use std::{
    fs::{self, File},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{ground::Ground, programs::Programs};

/// From the start of a process to its first child, or from a signal to what it does.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Daemon {
    recipe: Recipe,
    running: Mutex<Option<Running>>,
}

/// All it takes to start it, as often as wanted.
pub(super) struct Recipe {
    pub(super) ground: Ground,
    pub(super) programs: Programs,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// Where it runs, and its log is: `<log>.log`.
    pub(super) home: PathBuf,
    pub(super) log: String,
}

struct Running {
    pid: i32,
    /// Names the process even after its number has passed to another.
    process: OwnedFd,
    /// What we started: the process itself, or the one that entered its namespaces for it and waits there.
    started: i32,
    entrance: OwnedFd,
    keeper: JoinHandle<()>,
}

impl Daemon {
    pub(super) fn start(recipe: Recipe) -> Result<Self> {
        let daemon = Self::new(recipe);
        daemon.start_again()?;
        Ok(daemon)
    }

    /// One that does not run yet.
    pub(super) fn new(recipe: Recipe) -> Self {
        Self { recipe, running: Mutex::default() }
    }

    /// After [`kill`](Self::kill), with the same arguments. Returns when the process runs, which is before it serves.
    pub fn start_again(&self) -> Result<()> {
        let mut running = self.running();
        if running.as_ref().is_some_and(|running| !running.keeper.is_finished()) {
            bail!("{} runs already", self.recipe.program);
        }
        *running = Some(self.recipe.run().with_context(|| format!("starting {}", self.recipe.program))?);
        Ok(())
    }

    /// It answers nobody, and its connections stay open. Returns when its last thread has stopped.
    ///
    /// What started it stops first: `nsenter` would answer a stop of its child with one of its own, and a late one of
    /// those, undone by [`thaw`](Self::thaw), has it wake the child again, which may by then be frozen anew.
    pub fn freeze(&self) -> Result<()> {
        let running = self.running();
        let running = running.as_ref().with_context(|| format!("{} was killed", self.recipe.program))?;
        for (pid, process) in [(running.started, &running.entrance), (running.pid, &running.process)] {
            let since = Instant::now();
            pidfd_send_signal(process, Signal::STOP)?;
            while !is_stopped(pid)? {
                ensure!(since.elapsed() < PATIENCE, "{} does not stop", self.recipe.program);
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Returns when it is gone.
    pub fn kill(&self) -> Result<()> {
        let Some(running) = self.running().take() else { return Ok(()) };
        let _ = running.signal(Signal::KILL);
        running.keeper.join().map_err(|_| anyhow!("the keeper of {} broke", self.recipe.program))
    }

    /// Returns when it has ended by itself.
    pub(super) fn wait(&self) {
        if let Some(running) = self.running().take() {
            let _ = running.keeper.join();
        }
    }

    pub fn pid(&self) -> Option<i32> {
        self.running().as_ref().filter(|running| !running.keeper.is_finished()).map(|running| running.pid)
    }

    /// What it has said so far, in all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.recipe.log_file()).unwrap_or_default()
    }

    /// An error with its last words, if it has ended.
    pub(super) fn ensure_running(&self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        let log = self.log();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        bail!("{} has ended:\n{}", self.recipe.program, last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running();
        let running = running.as_ref().with_context(|| format!("{} was killed", self.recipe.program))?;
        running.signal(signal)
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.process, signal)?;
        // What entered for it was stopped before it, and would neither go on nor see its end.
        if matches!(signal, Signal::CONT | Signal::KILL) {
            let _ = pidfd_send_signal(&self.entrance, Signal::CONT);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Recipe {
    fn log_file(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.log))
    }

    fn run(&self) -> Result<Running> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = self.ground.command(&self.programs, &self.program, &self.home);
        command.args(&self.arguments).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let (keeper, started) = kept(command)?;
        let pid = match self.ground.is_entered() {
            true => first_child(started)?,
            false => started,
        };
        let open =
            |pid| Ok::<_, anyhow::Error>(pidfd_open(Pid::from_raw(pid).context("a process id")?, PidfdFlags::empty())?);
        Ok(Running { pid, process: open(pid)?, started, entrance: open(started)?, keeper })
    }
}

/// Started by a thread that ends when it does.
fn kept(mut command: Command) -> Result<(JoinHandle<()>, i32)> {
    let (tell, told) = mpsc::channel();
    let keeper = thread::Builder::new().name("keeper".to_owned()).spawn(move || match command.spawn() {
        Ok(mut child) => {
            let _ = tell.send(Ok(child.id()));
            let _ = child.wait();
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    })?;
    Ok((keeper, i32::try_from(told.recv()??)?))
}

fn is_stopped(pid: i32) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while it is looked at. Its state follows its name, which may hold anything.
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of a process that has just been started in order to start it.
pub(super) fn first_child(parent: i32) -> Result<i32> {
    let since = Instant::now();
    let children = format!("/proc/{parent}/task/{parent}/children");
    while Path::new(&children).exists() && since.elapsed() < PATIENCE {
        let listed = fs::read_to_string(&children).unwrap_or_default();
        if let Some(child) = listed.split_whitespace().next() {
            return Ok(child.parse()?);
        }
        thread::sleep(Duration::from_millis(2));
    }
    bail!("process {parent} started nothing")
}
