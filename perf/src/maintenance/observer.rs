//! A thread that looks at the server a few times a second: its memory, the CPU time of its housekeeping, the files that it is
//! writing, and what it logs.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::compare::running::{Running, journal_dir};
use crate::load::{resident_kib, thread_ns};

/// The time from one sample to the next.
const EVERY: Duration = Duration::from_millis(50);
/// The server's thread that writes snapshots, puts sales away and removes segments.
const HOUSEKEEPING: &str = "housekeeping";

/// The server at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// When, in seconds.
    pub at: f64,
    /// Resident memory, in kibibytes.
    pub resident_kib: u64,
    /// CPU time of the housekeeping thread so far, in nanoseconds.
    pub housekeeping_ns: u64,
    /// Whether a segment is being prepared.
    pub is_preparing: bool,
}

impl Sample {
    /// Returns it with a time that is counted from `first` on.
    #[must_use]
    pub fn since(self, first: f64) -> Self {
        let at = self.at - first;
        Self { at, ..self }
    }
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Observed {
    /// The samples, in order.
    pub samples: Vec<Sample>,
    /// The messages of the log, with the time at which they were read, in seconds.
    pub messages: Vec<(f64, String)>,
}

/// The thread.
pub struct Observer {
    stop: Sender<()>,
    thread: JoinHandle<Observed>,
}

impl Observer {
    /// Starts the thread, whose times are counted from `origin`.
    ///
    /// # Errors
    /// The server's log cannot be read.
    pub fn start(running: &Running, origin: Instant) -> Result<Self> {
        let log = running.dir().join("log");
        let mut log = Log {
            file: File::open(&log).with_context(|| log.display().to_string())?,
            rest: String::new(),
        };
        let (pid, journal) = (running.process.id(), journal_dir(running.dir()));
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut observed = Observed::default();
            // What was logged before belongs to the start.
            log.messages();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let at = origin.elapsed().as_secs_f64();
                observed.samples.push(sample(pid, &journal, at));
                let messages = log.messages();
                observed
                    .messages
                    .extend(messages.into_iter().map(|it| (at, it)));
            }
            observed
        });
        Ok(Self { stop, thread })
    }

    /// Ends the thread, and returns what it has seen.
    #[must_use]
    pub fn end(self) -> Observed {
        drop(self.stop);
        self.thread.join().expect("the observer does not panic")
    }
}

fn sample(pid: u32, journal: &Path, at: f64) -> Sample {
    let names = fs::read_dir(journal).into_iter().flatten().flatten();
    let mut paths = names.map(|it| it.path());
    Sample {
        at,
        resident_kib: resident_kib(pid).unwrap_or(0),
        housekeeping_ns: thread_ns(pid, HOUSEKEEPING),
        is_preparing: paths.any(|it| is_segment_in_the_making(&it)),
    }
}

/// Returns whether a file is an unfinished segment. Unfinished files of other kinds have a second ending.
fn is_segment_in_the_making(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default();
    path.extension().is_some_and(|it| it == "preparing") && Path::new(stem).extension().is_none()
}

/// The log, as far as it has been read.
struct Log {
    file: File,
    /// The beginning of a line.
    rest: String,
}

impl Log {
    /// Returns the messages of the lines that have been added.
    fn messages(&mut self) -> Vec<String> {
        // What cannot be read now is read next time.
        let _ = self.file.read_to_string(&mut self.rest);
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        lines.lines().filter_map(message).collect()
    }
}

fn message(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    Some(entry["message"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_message_is_read_once_its_line_is_whole() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut log = Log {
            file: file.reopen().expect("a file"),
            rest: String::new(),
        };
        let mut out = file.reopen().expect("a file");
        let mut write = |text: &str| out.write_all(text.as_bytes()).expect("room");
        write("{\"level\":\"INFO\",\"message\":\"one\"}\nno JSON\n{\"message\":");
        assert_eq!(log.messages(), ["one"]);
        write("\"two\"}\n");
        assert_eq!(log.messages(), ["two"]);
        assert!(log.messages().is_empty());
    }

    #[test]
    fn an_unfinished_segment_is_told_from_other_unfinished_files() {
        for (name, expected) in [
            ("00000000000000000007.preparing", true),
            ("00000000000000000007.segment", false),
            ("00000000000000000007.snapshot.preparing", false),
            ("00000000000000000001-1.sale.preparing", false),
        ] {
            assert_eq!(
                is_segment_in_the_making(Path::new(name)),
                expected,
                "{name}"
            );
        }
    }
}
