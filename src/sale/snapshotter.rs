//! Snapshots are folded from the journal, not copied from memory: the sale is not stopped for one,
//! and the journal is read and checked once more.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::state::State;
use crate::env::{Clock, Disk, Entropy};
use crate::journal::segment::{self, SegmentHeader};
use crate::journal::snapshot::{self, SnapshotWriter};
use crate::journal::{self, Journal, JournalError};
use crate::limits;
use crate::types::{Lsn, Timestamp};

/// A thread that writes a snapshot whenever enough of the journal has been sealed.
pub struct Snapshotter {
    thread: JoinHandle<()>,
}

impl Snapshotter {
    /// Starts the thread; it ends when the journal is closed. What fails is logged and tried again
    /// later: only the next start takes longer without a snapshot.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        retention: Option<Retention>,
    ) -> std::io::Result<Self> {
        let run = move || {
            let mut wanted = limits::SNAPSHOT_EVERY_BYTES;
            let patience = Duration::from_secs(limits::TRIM_SECONDS);
            while let Some(sealed) = journal.wait_until_sealed(wanted, patience) {
                if sealed >= wanted {
                    wanted = sealed + limits::SNAPSHOT_EVERY_BYTES;
                    if let Err(error) = snapshot_now(&journal, &*clock, &*entropy) {
                        tracing::warn!("no snapshot: {error}; trying again later");
                    }
                }
                if let Some(retention) = &retention
                    && let Err(error) = retention.trim(&journal, &*clock)
                {
                    tracing::warn!("old segments are kept: {error}; trying again later");
                }
            }
        };
        Ok(Self {
            thread: Builder::new().name("snapshot".into()).spawn(run)?,
        })
    }

    /// Waits for the thread's end, after the journal was closed.
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

fn snapshot_now(
    journal: &Journal,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), JournalError> {
    let until = journal.durable();
    write_snapshot(&**journal.disk(), journal.dir(), until, clock, entropy)?;
    tracing::info!(lsn = until.0, "snapshot written");
    Ok(())
}

/// Which segments may go.
pub struct Retention {
    /// How long a segment stays in any case, in seconds.
    pub seconds: u32,
    /// The last record that all have who follow the journal.
    pub followed: Box<dyn Fn() -> Lsn + Send>,
}

impl Retention {
    /// Removes the segments that are old enough, that a snapshot stands for, and that nobody is still
    /// to read.
    fn trim(&self, journal: &Journal, clock: &dyn Clock) -> Result<(), JournalError> {
        let (disk, dir) = (&**journal.disk(), journal.dir());
        let Some(covered) = snapshot::newest(disk, dir)? else {
            return Ok(());
        };
        let before = Timestamp(clock.now().0 - i64::from(self.seconds) * 1_000_000);
        let removed = journal::trim(disk, dir, covered.min((self.followed)()), before)?;
        if removed > 0 {
            tracing::info!(removed, "segments that are no longer needed removed");
        }
        Ok(())
    }
}

/// Writes the snapshot of the state at `until`, which must be durable, from the one before it and
/// the records behind that; older ones are removed.
///
/// # Errors
/// The journal cannot be read, or the snapshot not written.
pub fn write_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    until: Lsn,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), JournalError> {
    let mut state = State::default();
    let before = snapshot::newest(disk, dir)?;
    if let Some(before) = before {
        snapshot::read(disk, dir, before, &mut |entry| state.apply(&entry))?;
    }
    let after = before.unwrap_or(Lsn::ZERO);
    let replayed = journal::replay(disk, dir, after, Some(until), &mut |entry| {
        state.apply(&entry)
    })?;
    state.check(replayed.last_lsn)?;
    let created_at = clock.now();
    let header = SegmentHeader {
        number: replayed.last_lsn.0,
        seed: entropy.bits_128() as u32,
        length_bytes: 0,
        created_at,
    };
    let mut writer = SnapshotWriter::create(disk, dir, header)?;
    state.visit_records(&mut |at, record| writer.push(at.unwrap_or(created_at), record))?;
    // A snapshot must not outlive records that it stands for, also where commits are not synced.
    segment::sync(disk, dir, &replayed.segments)?;
    writer.finish()?;
    snapshot::remove_older(disk, dir)
}
