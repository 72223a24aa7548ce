//! Group commit: records gather in one buffer while the other one is written; one commit is in flight at a time.

use std::mem;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::{io, ptr};

use clap::ValueEnum;
use flashsale::env::{AsyncWriter, Disk, RealDisk};
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
    /// A worker has begun a write and not been told its end.
    is_on_its_way: bool,
}

/// What a worker writes with by itself.
pub struct OwnWrites {
    writer: Box<dyn AsyncWriter>,
    /// The last record of the batch that is on its way.
    last: Option<u64>,
}

impl OwnWrites {
    /// Creates them for the calling worker; `None` where the system has no rings.
    #[must_use]
    pub fn new() -> Option<Self> {
        let writer = RealDisk.async_writer()?;
        Some(Self { writer, last: None })
    }
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
            is_on_its_way: false,
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

    /// Returns how batches are made durable.
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

    /// Returns the number of the last record that is durable.
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

    /// Sees to it that what has gathered is committed with the worker's own writes. Returns what
    /// [`Self::commit_pending`] does.
    pub fn poll_own(
        &self,
        mine: &Listener,
        own: &mut OwnWrites,
        context: &mut Context<'_>,
    ) -> bool {
        loop {
            if let Some(last) = own.last {
                let Poll::Ready(written) = own.writer.poll_written(context) else {
                    return false;
                };
                exit_unless_written(written);
                own.last = None;
                self.writer.lock().is_on_its_way = false;
                self.publish(last, Some(mine));
            }
            let Some(mut writer) = self.writer.try_lock() else {
                return false;
            };
            if writer.is_on_its_way {
                return false;
            }
            let Some(last) = self.take(&mut writer) else {
                return false;
            };
            let Writer { log, buffer, .. } = &mut *writer;
            if log.begin(buffer, &mut *own.writer) {
                writer.is_on_its_way = true;
                own.last = Some(last);
            } else {
                exit_unless_written(log.commit(buffer));
                drop(writer);
                self.publish(last, Some(mine));
                return self.has_pending();
            }
        }
    }

    fn has_pending(&self) -> bool {
        !self.gathering.lock().buffer.is_empty()
    }

    /// Runs the committer's thread, which ends with the process.
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
        if let Some(last) = self.take(writer) {
            exit_unless_written(writer.log.commit(&mut writer.buffer));
            self.publish(last, mine);
        }
    }

    /// Takes what has gathered into the writer's buffer. Returns its last record, if there is any.
    fn take(&self, writer: &mut Writer) -> Option<u64> {
        let mut gathering = self.gathering.lock();
        if gathering.buffer.is_empty() {
            return None;
        }
        writer.buffer.clear();
        mem::swap(&mut gathering.buffer, &mut writer.buffer);
        Some(gathering.last)
    }

    fn publish(&self, last: u64, mine: Option<&Listener>) {
        self.durable.store(last, Ordering::SeqCst);
        for listener in &*self.listeners.lock() {
            if !mine.is_some_and(|mine| ptr::eq(mine, &**listener)) {
                listener.wake_if_wanted();
            }
        }
    }
}

/// Ends the process where a batch is not certain to be on the disk: nobody may be answered any more.
fn exit_unless_written(written: io::Result<()>) {
    if let Err(error) = written {
        eprintln!("error: cannot write the log: {error}");
        process::exit(1);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn open(by: CommittedBy) -> (tempfile::TempDir, Arc<Commits>, Arc<Wakes>, Arc<Listener>) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let commits = Commits::open(&path, Technique::Fdatasync, by).expect("room");
        let wakes = Arc::new(Wakes::default());
        let listener = commits.listen(Arc::clone(&wakes).into());
        (dir, commits, wakes, listener)
    }

    #[test]
    fn nothing_is_durable_while_a_commit_is_in_flight_and_a_batch_is_one_wake_up() {
        let (_dir, commits, wakes, listener) = open(CommittedBy::Thread);
        let in_flight = commits.writer.lock();
        let numbers: Vec<_> = (0..10).map(|_| commits.append(b"record")).collect();
        listener.want();
        assert!(!commits.commit_pending(&listener));
        assert_eq!(commits.durable(), 0);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        drop(in_flight);
        let deadline = Instant::now() + Duration::from_secs(60);
        while wakes.0.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "nobody commits");
            thread::yield_now();
        }
        assert_eq!(commits.durable(), numbers[9]);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_worker_leaves_its_records_to_the_one_whose_commit_is_in_flight() {
        let (_dir, commits, wakes, listener) = open(CommittedBy::Worker);
        commits.append(b"first");
        let in_flight = commits.writer.lock();
        assert!(!commits.commit_pending(&listener));
        assert_eq!(commits.durable(), 0);
        drop(in_flight);
        let other = commits.listen(Waker::noop().clone());
        listener.want();
        assert!(!commits.commit_pending(&other), "nothing is left");
        assert_eq!(commits.durable(), 1);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }
}
