//! Snapshots are folded from the journal, not copied from memory: the sale is not stopped for one,
//! and the journal is read and checked once more.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::state::State;
use crate::env::{Clock, Disk, Entropy};
use crate::journal::segment::SegmentHeader;
use crate::journal::snapshot::{self, SnapshotWriter};
use crate::journal::{self, Journal, JournalError};
use crate::limits;
use crate::types::Lsn;

/// A thread that writes a snapshot whenever enough of the journal has been sealed.
pub struct Snapshotter {
    thread: JoinHandle<()>,
}

impl Snapshotter {
    /// Starts the thread; it ends when the journal is closed. A snapshot that fails is logged and
    /// tried again later: only the next start takes longer without it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> std::io::Result<Self> {
        let run = move || {
            let mut wanted = limits::SNAPSHOT_EVERY_BYTES;
            while let Some(sealed) = journal.wait_until_sealed(wanted) {
                wanted = sealed + limits::SNAPSHOT_EVERY_BYTES;
                let until = journal.durable();
                match write_snapshot(&**journal.disk(), journal.dir(), until, &*clock, &*entropy) {
                    Ok(()) => tracing::info!(lsn = until.0, "snapshot written"),
                    Err(error) => tracing::warn!("snapshot at {until} failed: {error}"),
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
    let header = SegmentHeader {
        number: replayed.last_lsn.0,
        seed: entropy.bits_128() as u32,
        length_bytes: 0,
        created_at: clock.now(),
    };
    let mut writer = SnapshotWriter::create(disk, dir, header)?;
    state.visit_records(&mut |record| writer.push(clock.now(), record))?;
    writer.finish()?;
    snapshot::remove_older(disk, dir)
}
