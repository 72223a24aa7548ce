//! Group commit: records gather in one buffer while the other one is written; one commit is in flight at a time.

use std::mem;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread::{self, Thread};
use std::{io, ptr};

use clap::ValueEnum;
use parking_lot::Mutex;

use super::aligned::AlignedBuffer;
use super::log::{Log, Technique};

/// Which thread commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CommittedBy {
    /// The worker that finds no commit in flight at the end of its turn
    Worker,
    /// A thread that does nothing else
    Thread,
}

/// The records of all workers, and their way to the disk. Records are numbered from 1.
pub struct Commits {
    gathering: Mutex<Gathering>,
    /// Held by the thread whose commit is in flight.
    writer: Mutex<Writer>,
    durable: AtomicU64,
    listeners: Mutex<Vec<Arc<Listener>>>,
    /// The committer's thread, where there is one.
    committer: OnceLock<Thread>,
    is_parked: AtomicBool,
}

#[derive(Default)]
struct Gathering {
    buffer: AlignedBuffer,
    last: u64,
}

struct Writer {
    log: Log,
    /// The buffer that is not gathered into.
    buffer: AlignedBuffer,
}

/// The wake-up of one worker, however many of its requests wait. A worker is woken only where it has asked for it: one
/// that is at work looks at the end of its turn anyway.
pub struct Listener {
    waker: Waker,
    wants: AtomicBool,
}

impl Commits {
    /// Creates the log, and the committer's thread where that is to commit.
    ///
    /// # Errors
    /// The log cannot be created.
    pub fn open(path: &Path, technique: Technique, by: CommittedBy) -> io::Result<Arc<Self>> {
        let writer = Writer {
            log: Log::create(path, technique)?,
            buffer: AlignedBuffer::default(),
        };
        let commits = Arc::new(Self {
            gathering: Mutex::default(),
            writer: Mutex::new(writer),
            durable: AtomicU64::new(0),
            listeners: Mutex::default(),
            committer: OnceLock::new(),
            is_parked: AtomicBool::new(false),
        });
        if by == CommittedBy::Thread {
            let mine = Arc::clone(&commits);
            let thread = thread::Builder::new().name("committer".into());
            let committer = thread.spawn(move || mine.run())?;
            commits.committer.get_or_init(|| committer.thread().clone());
        }
        Ok(commits)
    }

    /// How batches are made durable.
    #[must_use]
    pub fn technique(&self) -> Technique {
        self.writer.lock().log.technique()
    }

    /// Appends a record to the batch that gathers, and returns its number.
    pub fn append(&self, record: &[u8]) -> u64 {
        let mut gathering = self.gathering.lock();
        gathering.buffer.extend(record);
        gathering.last += 1;
        gathering.last
    }

    /// The number of the last record that is durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Adds the wake-up of a worker.
    pub fn listen(&self, waker: Waker) -> Arc<Listener> {
        let wants = AtomicBool::new(false);
        let listener = Arc::new(Listener { waker, wants });
        self.listeners.lock().push(Arc::clone(&listener));
        listener
    }

    /// Sees to it that what has gathered is committed, at the end of the turn of the worker that listens with `mine`.
    /// Returns whether something has gathered meanwhile, so that the worker has to come again.
    pub fn commit_pending(&self, mine: &Listener) -> bool {
        match self.committer.get() {
            Some(committer) => {
                // The committer looks once more after it has said that it parks.
                if self.has_pending() && self.is_parked.swap(false, Ordering::SeqCst) {
                    committer.unpark();
                }
                false
            }
            None => {
                // Whose commit is in flight looks again when it is done.
                let Some(mut writer) = self.writer.try_lock() else {
                    return false;
                };
                self.commit(&mut writer, Some(mine));
                drop(writer);
                self.has_pending()
            }
        }
    }

    fn has_pending(&self) -> bool {
        !self.gathering.lock().buffer.is_empty()
    }

    /// The committer's thread, which ends with the process.
    fn run(&self) {
        loop {
            self.commit(&mut self.writer.lock(), None);
            self.is_parked.store(true, Ordering::SeqCst);
            if self.has_pending() {
                self.is_parked.store(false, Ordering::SeqCst);
            } else {
                thread::park();
            }
        }
    }

    /// Commits what has gathered, if anything has, and wakes the workers, except for the one that does this.
    fn commit(&self, writer: &mut Writer, mine: Option<&Listener>) {
        let last = {
            let mut gathering = self.gathering.lock();
            if gathering.buffer.is_empty() {
                return;
            }
            mem::swap(&mut gathering.buffer, &mut writer.buffer);
            gathering.last
        };
        if let Err(error) = writer.log.commit(&mut writer.buffer) {
            // Nobody may be answered any more.
            eprintln!("error: cannot write the log: {error}");
            process::exit(1);
        }
        writer.buffer.clear();
        self.durable.store(last, Ordering::SeqCst);
        for listener in &*self.listeners.lock() {
            if !mine.is_some_and(|mine| ptr::eq(mine, &**listener)) {
                listener.wake_if_wanted();
            }
        }
    }
}

impl Listener {
    /// Asks for a wake-up after the next commit.
    pub fn want(&self) {
        // With `wake_if_wanted`: here `wants` is written before `durable` is read, there `durable` before `wants`, so
        // that one of the two sees the other.
        self.wants.store(true, Ordering::SeqCst);
    }

    fn wake_if_wanted(&self) {
        if self.wants.swap(false, Ordering::SeqCst) {
            self.waker.wake_by_ref();
        }
    }
}
