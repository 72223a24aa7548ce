//! Files with the bytes that are given.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::SimulatedDisk;
use flashsale::journal::frame::{self, FRAME_HEADER_BYTES, FrameAlign};
use flashsale::journal::segment::SegmentHeader;
use flashsale::types::{Lsn, Timestamp};

/// Where the journal is.
pub const DIR: &str = "/journal";
const SEED: u32 = 7;

/// The form in which the bytes are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The file as it is.
    Raw,
    /// Records, in a file whose checksums are right.
    Sealed,
}

/// The first two bytes say what the others are, and how many records they are said to be.
pub fn split(bytes: &[u8]) -> Option<(Form, u8, u8, &[u8])> {
    let (&[what, count], rest) = bytes.split_first_chunk()?;
    let form = if what & 1 == 0 {
        Form::Raw
    } else {
        Form::Sealed
    };
    Some((form, what >> 1, count, rest))
}

/// A file that stands for `number`. `ended` is what records alone have, and segments do not: a frame that says
/// that nothing follows.
pub fn file(form: Form, number: u64, first: Lsn, count: u8, bytes: &[u8], ended: bool) -> Vec<u8> {
    if form == Form::Raw {
        return bytes.to_vec();
    }
    let header = SegmentHeader {
        number,
        seed: SEED,
        length_bytes: 0,
        created_at: Timestamp(1),
        align: FrameAlign::NARROW,
    };
    let mut file = header.encode();
    append_frame(&mut file, first, count, bytes);
    if ended {
        append_frame(&mut file, Lsn(first.0 + u64::from(count)), 0, &[]);
    }
    file
}

fn append_frame(file: &mut Vec<u8>, first: Lsn, count: u8, payload: &[u8]) {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    frame.extend_from_slice(payload);
    frame::seal(SEED, FrameAlign::NARROW, first, count.into(), &mut frame);
    file.extend_from_slice(&frame);
}

/// A disk with this one file.
pub fn disk_with(path: &Path, bytes: Vec<u8>) -> Arc<SimulatedDisk> {
    let disk = SimulatedDisk::new();
    disk.overwrite(path, bytes);
    Arc::new(disk)
}
