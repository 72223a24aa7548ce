//! The records lost behind the damage in a journal, as far as its files still name them.

use std::path::Path;

use super::error::JournalError;
use super::frame::FrameHeader;
use super::sale_file;
use super::segment::{self, SEGMENT_HEADER_BYTES, Segment};
use super::snapshot;
use crate::env::{Disk, OpenMode};
use crate::types::Lsn;

/// Bytes read from the disk at once.
const WINDOW_BYTES: usize = 1024 * 1024;

/// The loss behind the last record that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing that a file tells of.
    Nothing,
    /// The records up to this one, which is the last that a file names. There may have been later ones.
    Until(Lsn),
    /// Something, and no file tells how much.
    Unknown,
}

/// Returns the last record that is named beside the segments in `dir`: by a snapshot, or by the file of an ended
/// sale that is or was there. 0 where none is.
///
/// # Errors
/// An error of the operating system.
pub(super) fn last_beside_segments(disk: &dyn Disk, dir: &Path) -> Result<Lsn, JournalError> {
    let snapshot = snapshot::newest(disk, dir)?.unwrap_or(Lsn::ZERO);
    let sale = sale_file::list(disk, dir)?;
    let sale = sale.last().map_or(Lsn::ZERO, |file| file.closed_lsn);
    let removed = sale_file::removed_until(disk, dir)?;
    Ok(snapshot.max(sale).max(removed))
}

/// Returns the last record that the header of a batch names, whatever is wrong with the batch or before it; 0 where
/// none does. A last batch that is torn counts, too, although none of its records was acknowledged.
///
/// # Errors
/// An error of the operating system.
pub(super) fn last_in_segments(disk: &dyn Disk, dir: &Path) -> Result<Lsn, JournalError> {
    for number in segment::list_segments(disk, dir)?.into_iter().rev() {
        let last = match Segment::open(disk, dir, number, OpenMode::Read) {
            Ok(segment) => last_in(&segment)?,
            // Without its head no header in it can be checked.
            Err(JournalError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(last) = last {
            return Ok(last);
        }
    }
    Ok(Lsn::ZERO)
}

fn last_in(segment: &Segment) -> Result<Option<Lsn>, JournalError> {
    let align = segment.header.align;
    let (mut last, mut offset, mut behind) = (None, SEGMENT_HEADER_BYTES, 0);
    let mut window = vec![0; WINDOW_BYTES];
    loop {
        let read = segment.file.read_at(&mut window, offset);
        let read = read.map_err(JournalError::io("read", &segment.path))?;
        let places = (offset..).step_by(align.bytes());
        for (place, bytes) in places.zip(window[..read].chunks(align.bytes())) {
            // Bytes within a batch are no header, even where they have the form of one.
            let header = (place >= behind).then(|| FrameHeader::find(segment.header.seed, bytes));
            if let Some(header) = header.flatten() {
                behind = place + header.frame_bytes(align);
                last = Some(header.last_lsn());
            }
        }
        if read < WINDOW_BYTES {
            return Ok(last);
        }
        offset += WINDOW_BYTES as u64;
    }
}
