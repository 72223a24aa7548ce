//! The thread that tidies up behind the sale: writes snapshots, lets ended sales leave memory, and
//! removes files that nobody needs any more. It alone writes and removes files of sales.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::ended_sale::EndedSale;
use super::engine::Engine;
use super::file;
use super::sale::Sale;
use super::snapshotting::write_snapshot;
use crate::env::step_back;
use crate::journal::sale_file::{self, SaleFile};
use crate::journal::segment;
use crate::journal::{Journal, JournalError, snapshot};
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::types::{Lsn, Timestamp};

/// The retention of ended sales in memory and of files.
pub struct Housekeeping {
    /// Seconds that a sale stays in memory after it was closed.
    pub keep_ended_seconds: u32,
    /// The last record that all have who follow the journal: what is behind it is not removed.
    pub followed: Box<dyn Fn() -> Lsn + Send>,
    /// The retention of files; `None` keeps all.
    pub retention: Option<Retention>,
}

/// The times after which files are removed.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Seconds that a segment stays in any case.
    pub segment_seconds: u32,
    /// How long the file of an ended sale stays, in seconds; `None` for ever, because nobody else has
    /// what is in it.
    pub sale_seconds: Option<u32>,
}

/// The thread.
pub struct Housekeeper {
    thread: JoinHandle<()>,
}

impl Housekeeper {
    /// Starts the thread; it ends when the journal is closed. What fails is logged and tried again
    /// later: until then there is more in memory or on the disk than need be, and nothing less. A sync
    /// that fails is the end of the journal, as one of its own is: a second one would succeed and prove
    /// nothing.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(engine: Arc<Engine>, housekeeping: Housekeeping) -> std::io::Result<Self> {
        let run = move || {
            step_back(limits::BACKGROUND_NICE);
            let mut keeper = Keeper::new(Arc::clone(&engine), housekeeping);
            let mut patience = Duration::ZERO;
            while let Some(sealed) = engine.journal().wait_until_sealed(keeper.wanted, patience) {
                patience = match keeper.tidy(sealed) {
                    true => Duration::ZERO,
                    false => Duration::from_secs(limits::HOUSEKEEPING_SECONDS),
                };
            }
        };
        Ok(Self {
            thread: Builder::new().name("housekeeping".into()).spawn(run)?,
        })
    }

    /// Waits for the thread's end, after the journal was closed.
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

fn or_later<T>(journal: &Journal, what: &str, done: Result<T, JournalError>) -> Option<T> {
    let not_done = |error: &JournalError| match error.is_failed_sync() {
        true => journal.fail(error),
        false => tracing::warn!("{what}: {error}; trying again later"),
    };
    done.inspect_err(not_done).ok()
}

/// The work of the thread, for an owner who calls it himself. Only one may work for an engine.
pub struct Keeper {
    engine: Arc<Engine>,
    housekeeping: Housekeeping,
    /// The sealed bytes from which on the next snapshot is written.
    wanted: u64,
    /// Sales that have left, but that somebody still looks at: they are freed here and not by a worker,
    /// whom that would keep from answering.
    leaving: Vec<Arc<Sale>>,
}

impl Keeper {
    /// Creates the keeper of `engine`, which has done nothing yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, housekeeping: Housekeeping) -> Self {
        let mut keeper = Self {
            engine,
            housekeeping,
            wanted: 0,
            leaving: Vec::new(),
        };
        keeper.wanted = keeper.snapshot_every_bytes();
        keeper
    }

    /// Tidies up once, when `sealed` bytes of the journal have been sealed since its start's snapshot. Returns whether more
    /// is to be done at once.
    pub fn tidy(&mut self, sealed: u64) -> bool {
        let engine = Arc::clone(&self.engine);
        let journal = engine.journal();
        if sealed >= self.wanted {
            or_later(journal, "no snapshot", self.snapshot());
            self.wanted = sealed.saturating_add(self.snapshot_every_bytes());
        }
        let more = self.put_sales_away();
        let more = or_later(journal, "ended sales stay in memory", more) == Some(true);
        or_later(journal, "old files are kept", self.remove_old());
        more
    }

    /// How much has to be sealed behind a snapshot until the next one is worth its work, which is to read
    /// that much and to write about as much as the one before has.
    fn snapshot_every_bytes(&self) -> u64 {
        let journal = self.engine.journal();
        let written = snapshot::newest_bytes(&**journal.disk(), journal.dir());
        // What cannot be read is told when it has to be.
        written.unwrap_or(0).max(limits::SNAPSHOT_EVERY_BYTES)
    }

    fn snapshot(&self) -> Result<(), JournalError> {
        let (engine, journal) = (&self.engine, self.engine.journal());
        let is_local = is_planted(Slip::SnapshotsUnacknowledged);
        let local = is_local.then(|| journal.reached()).flatten();
        let until = local.map_or_else(|| journal.durable(), |reached| reached.local);
        let disk = journal.background_disk();
        disk.begin();
        write_snapshot(disk, journal.dir(), until, &*engine.clock, &*engine.entropy)?;
        journal.note_snapshot(until);
        tracing::info!(lsn = until.0, "snapshot written");
        Ok(())
    }

    /// Takes ended sales out of memory, and returns whether more may follow.
    fn put_sales_away(&mut self) -> Result<bool, JournalError> {
        let keep_seconds = self.housekeeping.keep_ended_seconds;
        let left = self.engine.put_ended_away(keep_seconds)?;
        if !left.is_empty() {
            tracing::info!(sales = left.len(), "ended sales have left memory");
        }
        let more = left.len() == limits::PUT_AWAY_SALES_MAX;
        self.leaving.extend(left);
        self.leaving.retain(|sale| Arc::strong_count(sale) > 1);
        Ok(more)
    }

    /// Removes the segments and the files of sales that are old enough, that a snapshot or a database
    /// stands for, and that nobody is still to read.
    fn remove_old(&self) -> Result<(), JournalError> {
        let Some(retention) = self.housekeeping.retention else {
            return Ok(());
        };
        // What is old by a wrong clock would be gone for good.
        if !self.engine.is_clock_believed() {
            return Ok(());
        }
        let (journal, followed) = (self.engine.journal(), (self.housekeeping.followed)());
        let (disk, dir) = (&**journal.disk(), journal.dir());
        let now = self.engine.now();
        if let Some(covered) = snapshot::newest(disk, dir)? {
            let before = seconds_before(now, retention.segment_seconds);
            let covered = match is_planted(Slip::TrimsUnfollowed) {
                true => covered,
                false => covered.min(followed),
            };
            let removed = journal.trim(covered, before)?;
            if removed > 0 {
                tracing::info!(removed, "segments that are no longer needed removed");
            }
        }
        if let Some(seconds) = retention.sale_seconds {
            let before = seconds_before(now, seconds);
            let removed = self.engine.remove_sale_files(followed, before)?;
            if removed > 0 {
                tracing::info!(removed, "files of sales that the database has removed");
            }
        }
        Ok(())
    }
}

fn seconds_before(now: Timestamp, seconds: u32) -> Timestamp {
    Timestamp(now.0 - i64::from(seconds) * 1_000_000)
}

impl Engine {
    /// Lets the sales leave memory that were closed at least `keep_seconds` ago and whose closing is
    /// durable: the oldest of them, at most [`limits::PUT_AWAY_SALES_MAX`]. Which those are. Each has its
    /// file before it leaves. Whoever follows the journal reads that and not memory, and so is not waited
    /// for. Only one thread may call this at a time.
    ///
    /// # Errors
    /// A file cannot be written. None has left.
    pub fn put_ended_away(&self, keep_seconds: u32) -> Result<Vec<Arc<Sale>>, JournalError> {
        let (journal, now) = (self.journal(), self.now());
        let (disk, dir) = (journal.background_disk(), journal.dir());
        let durable = journal.durable();
        let before = seconds_before(now, keep_seconds);
        // One that was closed before its end, too: the rotation also looks at those that have left.
        let may_leave = |sale: &Sale| {
            let closing = sale.closing();
            closing.is_some_and(|it| it.lsn <= durable && it.at <= before)
        };
        let mut leaving = {
            // Whoever is closing one of them has come to the end of it.
            let _one_at_a_time = self.administration.lock();
            self.sales()
        };
        leaving.retain(|sale| may_leave(sale));
        if leaving.is_empty() {
            return Ok(leaving);
        }
        disk.begin();
        // A file must not outlive records that it stands for, also where commits are not synced.
        segment::sync(disk, dir, &segment::list_segments(disk, dir)?)?;
        leaving.reverse();
        leaving.truncate(limits::PUT_AWAY_SALES_MAX);
        if !is_planted(Slip::PutsAwayWithoutFile) {
            file::ensure_all(disk, dir, leaving.iter(), now, &*self.entropy)?;
        }
        self.let_go(&leaving);
        Ok(leaving)
    }

    /// Takes the sales out of memory, except for what stays of them.
    fn let_go(&self, sales: &[Arc<Sale>]) {
        let _one_at_a_time = self.administration.lock();
        let ended = sales.iter().filter_map(|sale| EndedSale::of(sale));
        self.ended.write().extend(ended);
        let leaves = |sale: &Sale| sales.binary_search_by_key(&sale.id, |it| it.id).is_ok();
        self.set_registry(self.registry.load().without(leaves));
    }

    /// Removes the files of the sales that were closed before `before` by a record that everybody has
    /// `followed`, a database among them; how many. Only one thread may call this at a time.
    ///
    /// # Errors
    /// An error of the operating system. What was removed until then is gone.
    pub fn remove_sale_files(
        &self,
        followed: Lsn,
        before: Timestamp,
    ) -> Result<usize, JournalError> {
        let (disk, dir): (_, &Path) = (self.journal.background_disk(), self.journal.dir());
        disk.begin();
        let there = sale_file::list(disk, dir)?;
        let old: Vec<SaleFile> = {
            let ended = self.ended.read();
            let is_old =
                |sale: &&EndedSale| sale.closing.lsn <= followed && sale.closing.at < before;
            let files = ended.oldest_first().filter(is_old).map(EndedSale::file);
            files.filter(|file| there.contains(file)).collect()
        };
        sale_file::remove(disk, dir, &old)?;
        Ok(old.len())
    }
}
