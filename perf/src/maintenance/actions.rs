//! Requests for maintenance during the load: a large sale, the end of two others, a copy of the journal, and its verification.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flashsale::env::{Clock, SystemClock};

use super::past::Past;
use super::task::{Kind, Task};
use crate::compare::process::{Process, command};
use crate::compare::running::{ADMIN_TOKEN, Running, journal_dir};

/// The time from one check whether the load has ended to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Seconds until the created sale begins, and from then on until it ends.
const DAY_SECONDS: u32 = 86_400;

/// The actions, and when each begins, as a share of the load's duration.
const PLANNED: [(f64, Action); 5] = [
    (0.25, Action::BackUp),
    (0.45, Action::Verify),
    (0.70, Action::Create),
    (0.80, Action::Close(0)),
    (0.90, Action::Close(1)),
];

/// Something to ask for.
#[derive(Clone, Copy, Debug)]
enum Action {
    Create,
    /// Of the sales that are to end, the one at this place.
    Close(usize),
    BackUp,
    Verify,
}

impl Action {
    fn kind(self) -> Kind {
        match self {
            Self::Create => Kind::Creation,
            Self::Close(_) => Kind::Closing,
            Self::BackUp => Kind::Backup,
            Self::Verify => Kind::Verify,
        }
    }
}

/// Asks for everything in time.
pub struct Actions<'a> {
    /// The binary with the commands.
    pub server: &'a Path,
    /// The server under load.
    pub running: &'a Running,
    /// The sales that are there.
    pub past: &'a Past,
    /// The sale to create, as JSON.
    pub listed: String,
    /// How long the load lasts.
    pub duration: Duration,
}

/// The actions under way, each in a thread of its own.
pub struct Asking<'scope> {
    is_over: Arc<AtomicBool>,
    threads: Vec<ScopedJoinHandle<'scope, Result<Option<Task>>>>,
}

impl Asking<'_> {
    /// Ends what is not over yet, and returns what was done, and what failed.
    pub fn end(self) -> (Vec<Task>, Vec<String>) {
        self.is_over.store(true, Ordering::Release);
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for thread in self.threads {
            match thread.join().expect("an action does not panic") {
                Ok(task) => done.extend(task),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        (done, failed)
    }
}

impl Actions<'_> {
    /// Starts to ask. Times are counted from `origin`, shortly before the load.
    pub fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        origin: Instant,
    ) -> Asking<'scope> {
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |&(share, action): &(f64, Action)| {
            let is_over = Arc::clone(&is_over);
            scope.spawn(move || self.run(action, self.duration.mul_f64(share), origin, &is_over))
        };
        Asking {
            threads: PLANNED.iter().map(start).collect(),
            is_over,
        }
    }

    /// Waits until it is time, and does it; `None` when the load has ended before.
    fn run(
        &self,
        action: Action,
        at: Duration,
        origin: Instant,
        is_over: &AtomicBool,
    ) -> Result<Option<Task>> {
        let is_over = || is_over.load(Ordering::Acquire);
        while origin.elapsed() < at {
            if is_over() {
                return Ok(None);
            }
            sleep(LOOK_EVERY);
        }
        let begin = origin.elapsed().as_secs_f64();
        self.carry_out(action, &is_over)
            .with_context(|| format!("{} failed", action.kind()))?;
        Ok(Some(Task {
            kind: action.kind(),
            begin,
            end: origin.elapsed().as_secs_f64(),
        }))
    }

    fn carry_out(&self, action: Action, is_over: &impl Fn() -> bool) -> Result<()> {
        match action {
            Action::Create => self
                .running
                .administer("/admin/sales", self.listed.as_bytes())
                .map(drop),
            Action::Close(place) => {
                let sale = self.past.ending[place];
                let path = format!("/admin/sales/{sale}/close");
                self.running.administer(&path, b"").map(drop)
            }
            Action::BackUp => self.run_command(&["journal", "backup", "--to", "copy"], is_over),
            Action::Verify => {
                let address = self.running.address.to_string();
                let arguments = ["verify", "--server", &address];
                self.run_command(&arguments, is_over)
            }
        }
    }

    /// Runs a command of the server's binary on the journal, and ends it with the load.
    fn run_command(&self, arguments: &[&str], is_over: &impl Fn() -> bool) -> Result<()> {
        let dir = self.running.dir();
        let mut command = command(self.server);
        command
            .args(arguments)
            .arg("--dir")
            .arg(journal_dir(dir))
            .current_dir(dir)
            .env_clear()
            .env("ADMIN_TOKEN", ADMIN_TOKEN);
        let log = dir.join(format!("{}.log", arguments[0]));
        let mut process = Process::start(arguments[0], &mut command, log)?;
        loop {
            match process.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}:\n{}", process.output()),
                None if is_over() => return Ok(()),
                None => sleep(LOOK_EVERY),
            }
        }
    }
}

/// Returns the request for a sale of as many listed items, which begins tomorrow.
#[must_use]
pub fn listed_sale(items: u32) -> String {
    let begin = SystemClock::new().now().plus_seconds(DAY_SECONDS);
    let end = begin.plus_seconds(DAY_SECONDS);
    let mut body = format!(r#"{{"started_at":"{begin}","ended_at":"{end}","items":["#);
    for number in 0..items {
        let separator = if number > 0 { "," } else { "" };
        let id = format!("listed-{number}");
        // Writing into memory cannot fail.
        let _ = write!(
            body,
            r#"{separator}{{"id":"{id}","name":"{id}","stock":1}}"#
        );
    }
    body.push_str("]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sale_to_create_has_all_its_items() {
        let sale: serde_json::Value = serde_json::from_str(&listed_sale(3)).expect("JSON");
        assert_eq!(sale["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(sale["items"][2]["id"], "listed-2");
    }
}
