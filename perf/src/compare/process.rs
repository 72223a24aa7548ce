//! A process that we started: when it is ready, and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::load;

/// How long a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one with children has to end them.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A command for `program`, which also ends when this process is killed, where `setpriv` is installed.
#[must_use]
pub fn command(program: &Path) -> Command {
    let Some(setpriv) = find_program("setpriv", &[]) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Where a program is: in `PATH`, or in one of the directories `also`.
#[must_use]
pub fn find_program(name: &str, also: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(also.iter().cloned());
    places.map(|place| place.join(name)).find(|it| it.is_file())
}

/// A process that does not outlive this, nor do its children.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs `command`, whose output goes to the file `log`.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until `look` finds something in the output.
    ///
    /// # Errors
    /// The process has ended, or takes too long; says what it wrote.
    pub fn wait_for<T>(&mut self, mut look: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait()?;
            let output = self.output();
            if let Some(found) = look(&output) {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!("{} ended with {status}:\n{output}", self.name);
            }
            if Instant::now() > deadline {
                bail!("{} is not ready in time:\n{output}", self.name);
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Returns how it ended; `None` while it runs.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Returns what it has written.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let children = load::children(self.child.id());
        if !children.is_empty() {
            // A parent that is killed cannot see to the end of its children.
            send(self.child.id(), Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(LOOK_EVERY);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for id in children {
            send(id, Signal::KILL);
        }
    }
}

/// An error means that the process has ended.
fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        let process = Process::start("sh", command.args(["-c", script]), log).expect("sh runs");
        (dir, process)
    }

    #[test]
    fn a_process_that_ends_early_says_why() {
        let (_dir, mut process) = shell("echo no disk >&2; exit 3");
        let error = process.wait_for(|_| None::<()>).expect_err("it ends");
        let text = error.to_string();
        assert!(text.contains("no disk") && text.contains('3'), "{text}");
    }

    #[test]
    fn children_end_with_their_parent() {
        let (_dir, mut process) = shell("sleep 600 & echo $!; wait");
        let child = process.wait_for(|output| output.trim().parse::<u32>().ok());
        let child = child.expect("its number");
        drop(process);
        let deadline = Instant::now() + PATIENCE;
        let runs = || {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z")
        };
        while runs() {
            assert!(Instant::now() < deadline, "the child outlives its parent");
            sleep(LOOK_EVERY);
        }
    }
}
