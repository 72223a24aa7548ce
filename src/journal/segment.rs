//! Segments: files of a fixed length, allocated, zeroed and synced before they are used, so that
//! writing a batch changes no metadata and one `fdatasync` makes it durable.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::frame::{FrameAlign, is_zero};
use super::ownership;
use super::pacer::Pacer;
use crate::env::{Disk, DiskFile, OpenMode};
use crate::planted::{Slip, is_planted};
use crate::types::Timestamp;

/// Bytes before the first frame.
pub const SEGMENT_HEADER_BYTES: u64 = 4096;

const MAGIC: &[u8; 8] = b"flshsale";
const VERSION: u32 = 3;
/// The oldest format that is read. It says nothing of the alignment of frames, which is always the narrowest.
const VERSION_MIN: u32 = 2;
const HEADER_FIELDS_BYTES: usize = 48;
/// Zeros are written in pieces of this many bytes.
const ZERO_BYTES: usize = 1024 * 1024;

/// The head of a segment, or of a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Its place in the order of segments, from 1; of a snapshot, the LSN that it stands for.
    pub number: u64,
    /// Where the checksums begin.
    pub seed: u32,
    /// The length that the file was made with, in bytes.
    pub length_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where frames begin.
    pub align: FrameAlign,
}

impl SegmentHeader {
    /// Returns the header as it is written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.length_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.created_at.0.to_le_bytes());
        bytes.extend_from_slice(&(self.align.bytes() as u32).to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEADER_FIELDS_BYTES);
        bytes.resize(SEGMENT_HEADER_BYTES as usize, 0);
        bytes
    }

    /// Decodes a header and checks it.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < SEGMENT_HEADER_BYTES as usize {
            return Err(format!("the file has only {} bytes", bytes.len()));
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        if &bytes[..8] != MAGIC {
            return Err("this is not a flashsale journal file".into());
        }
        let version = word(8);
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(format!(
                "format version {version} (this build reads {VERSION_MIN} to {VERSION})"
            ));
        }
        if word(44) != crc32c::crc32c(&bytes[..44]) {
            return Err("the header's checksum is wrong".into());
        }
        if !is_zero(&bytes[HEADER_FIELDS_BYTES..SEGMENT_HEADER_BYTES as usize]) {
            return Err("the header is followed by bytes that nobody wrote".into());
        }
        let align = match (version, word(40)) {
            (VERSION_MIN, 0) => Some(FrameAlign::NARROW),
            (VERSION_MIN, _) => None,
            (_, bytes) => FrameAlign::of_bytes(bytes),
        };
        let Some(align) = align else {
            return Err(format!(
                "batches that begin at multiples of {} bytes",
                word(40)
            ));
        };
        Ok(Self {
            align,
            seed: word(12),
            number: long(16),
            length_bytes: long(24),
            created_at: Timestamp(long(32) as i64),
        })
    }
}

/// An open segment.
pub struct Segment {
    /// Its head.
    pub header: SegmentHeader,
    /// Where it is.
    pub path: PathBuf,
    /// The open file.
    pub file: Box<dyn DiskFile>,
}

/// Returns the path of segment `number` in `dir`.
#[must_use]
pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.segment"))
}

/// Returns the number of the segment that a file name stands for.
#[must_use]
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// Returns the numbers of the segments in `dir`, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn list_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io("list", dir))?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl Segment {
    /// Makes a segment: written whole, synced, and only then given its name, so that a file with
    /// a segment's name always has its full length and a valid header. Its frames begin where the disk wants it, whatever
    /// `header` says of that. It is written at the pace of `pacer`.
    ///
    /// # Errors
    /// [`JournalError::is_shortage`] when there is no room (nothing is left behind), or another error of
    /// the operating system.
    pub fn prepare(
        disk: &dyn Disk,
        dir: &Path,
        mut header: SegmentHeader,
        pacer: &Pacer,
    ) -> Result<Self, JournalError> {
        let temporary = dir.join(format!("{:020}.preparing", header.number));
        let path = segment_path(dir, header.number);
        match Self::write_zeroed(disk, &temporary, &mut header, pacer) {
            Ok(file) => {
                let segment = Self { header, path, file };
                segment.lock()?;
                disk.rename(&temporary, &segment.path)
                    .map_err(JournalError::io("rename", &temporary))?;
                if !is_planted(Slip::SkipsDirectorySync) {
                    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
                }
                Ok(segment)
            }
            Err(error) => {
                // The room it took is needed; that it cannot be given back is no second error.
                let _ = disk.remove(&temporary);
                Err(error.of_segment(&path, header.length_bytes))
            }
        }
    }

    fn write_zeroed(
        disk: &dyn Disk,
        path: &Path,
        header: &mut SegmentHeader,
        pacer: &Pacer,
    ) -> Result<Box<dyn DiskFile>, JournalError> {
        let file = disk
            .open(path, OpenMode::CreateInPlace)
            .map_err(JournalError::io("create", path))?;
        header.align = file
            .unit_bytes()
            .and_then(FrameAlign::of_bytes)
            .unwrap_or(FrameAlign::SECTOR);
        zero_paced(
            &*file,
            path,
            SEGMENT_HEADER_BYTES..header.length_bytes,
            pacer,
        )?;
        file.write_at(&header.encode(), 0)
            .map_err(JournalError::io("write", path))?;
        if !is_planted(Slip::RenamesBeforeSync) {
            file.sync_data().map_err(JournalError::io("sync", path))?;
        }
        Ok(file)
    }

    /// Locks the file until it is closed, so that it has one writer. Readers are not kept
    /// from it.
    ///
    /// # Errors
    /// [`JournalError::InUse`], or an error of the operating system.
    pub(super) fn lock(&self) -> Result<(), JournalError> {
        if ownership::try_lock(&*self.file, &self.path)? {
            return Ok(());
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        Err(JournalError::InUse {
            path: dir.to_owned(),
        })
    }

    /// Opens segment `number` and checks its head.
    ///
    /// # Errors
    /// The file cannot be read, or its header is damaged.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        mode: OpenMode,
    ) -> Result<Self, JournalError> {
        let path = segment_path(dir, number);
        let segment = Self::open_path(disk, path, mode)?;
        if segment.header.number == number {
            return Ok(segment);
        }
        let what = format!(
            "its header says that it is segment {}",
            segment.header.number
        );
        Err(JournalError::Damaged {
            path: segment.path,
            offset: 0,
            what,
        })
    }

    /// Opens the file at `path`, whatever its number.
    ///
    /// # Errors
    /// The file cannot be read, or its header is damaged.
    pub fn open_path(disk: &dyn Disk, path: PathBuf, mode: OpenMode) -> Result<Self, JournalError> {
        let file = disk
            .open(&path, mode)
            .map_err(JournalError::io("open", &path))?;
        let mut head = vec![0; SEGMENT_HEADER_BYTES as usize];
        let read = file
            .read_at(&mut head, 0)
            .map_err(JournalError::io("read", &path))?;
        match SegmentHeader::decode(&head[..read]) {
            Ok(header) => Ok(Self { header, path, file }),
            Err(what) => Err(JournalError::Damaged {
                path,
                offset: 0,
                what,
            }),
        }
    }
}

/// Returns the length of the file of segment `number`, whatever is in it.
///
/// # Errors
/// As the operating system says.
pub fn length_bytes(disk: &dyn Disk, dir: &Path, number: u64) -> Result<u64, JournalError> {
    let path = segment_path(dir, number);
    let file = disk.open(&path, OpenMode::Read);
    let length = file.and_then(|file| file.length_bytes());
    length.map_err(JournalError::io("measure", &path))
}

/// Makes durable what any process has written to the segments `numbers`.
///
/// # Errors
/// As the operating system says.
pub fn sync(disk: &dyn Disk, dir: &Path, numbers: &[u64]) -> Result<(), JournalError> {
    for path in numbers.iter().map(|&number| segment_path(dir, number)) {
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(JournalError::io("open", &path))?;
        file.sync_data().map_err(JournalError::io("sync", &path))?;
    }
    Ok(())
}

/// Writes zeros from `start` to `end`.
///
/// # Errors
/// As the operating system says.
pub fn zero(file: &dyn DiskFile, path: &Path, start: u64, end: u64) -> Result<(), JournalError> {
    zero_paced(file, path, start..end, &Pacer::full_speed())
}

fn zero_paced(
    file: &dyn DiskFile,
    path: &Path,
    range: Range<u64>,
    pacer: &Pacer,
) -> Result<(), JournalError> {
    let Range { start, end } = range;
    let longest = end.saturating_sub(start).min(ZERO_BYTES as u64);
    let zeros = vec![0; longest as usize];
    let mut offset = start;
    while offset < end {
        let piece = (end - offset).min(ZERO_BYTES as u64);
        pacer
            .write_at(file, &zeros[..piece as usize], offset)
            .map_err(JournalError::io("write", path))?;
        offset += piece;
    }
    Ok(())
}
