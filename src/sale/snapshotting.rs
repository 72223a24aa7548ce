//! Snapshots are folded from the journal, not copied from memory: the sale is not stopped for one,
//! and the journal is read and checked once more.

use std::path::Path;

use super::file;
use super::state::State;
use crate::env::{Clock, Disk, Entropy};
use crate::journal::frame::FrameAlign;
use crate::journal::record_file::RecordFileWriter;
use crate::journal::segment::{self, SegmentHeader};
use crate::journal::{self, JournalError, snapshot};
use crate::types::Lsn;

/// Writes the snapshot of the state at `until`, which must be durable, from the one before it and
/// the records behind that; older ones are removed. Sales get their files where they are closed, and
/// leave only what is known of them in memory and in the snapshot.
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
    // A file must not outlive records that it stands for, also where commits are not synced.
    segment::sync(disk, dir, &segment::list_segments(disk, dir)?)?;
    let created_at = clock.now();
    let mut state = State::default();
    let before = snapshot::newest(disk, dir)?;
    if let Some(before) = before {
        snapshot::read(disk, dir, before, &mut |entry| state.restore(&entry))?;
    }
    let after = before.unwrap_or(Lsn::ZERO);
    let replayed = journal::replay(disk, dir, after, Some(until), &mut |entry| {
        state.apply_and_put_away(&entry, |sale| {
            file::ensure(disk, dir, sale, created_at, entropy).map(|()| true)
        })
    })?;
    state.check(replayed.last_lsn)?;
    // Those that an earlier snapshot holds whole; and all names become durable.
    let closed = state.sales().iter().filter(|sale| sale.is_closed());
    file::ensure_all(disk, dir, closed, created_at, entropy)?;
    state.put_away(|_| true);
    let header = SegmentHeader {
        number: replayed.last_lsn.0,
        seed: entropy.bits_128() as u32,
        length_bytes: 0,
        created_at,
        align: FrameAlign::NARROW,
    };
    let path = snapshot::path_of(dir, replayed.last_lsn);
    let mut writer = RecordFileWriter::create(disk, path, header)?;
    state.visit_records(&mut |at, record| writer.push(at.unwrap_or(created_at), record))?;
    writer.finish()?;
    snapshot::remove_older(disk, dir)
}
