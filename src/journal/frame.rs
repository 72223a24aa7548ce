//! Frames: one batch of records each, as it was handed to the disk in one write.
//!
//! `length: u32 | count: u32 | first LSN: u64 | payload CRC: u32 | 0: u64 | header CRC: u32`, the
//! payload, one [`END_MARK`], and zeros up to a multiple of the file's [`FrameAlign`]. A header never
//! crosses a sector, so it is on the disk as a whole or not at all. Both checksums are CRC32C and
//! begin with the segment's own seed, so that bytes of another segment are never taken for ours.

use crate::types::Lsn;

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 32;
/// The unit that a disk writes as a whole, in bytes.
pub const SECTOR_BYTES: usize = 512;
/// The byte behind the payload. It is not zero, so that the last sector of a frame, once written,
/// is never taken for an unwritten one.
pub const END_MARK: u8 = 0xA5;

const ZEROS: [u8; 4096] = [0; 4096];

/// Returns whether all of `bytes` are zero: compared in pieces, which is several times as fast as one by one.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let mut pieces = bytes.chunks(ZEROS.len());
    pieces.all(|piece| *piece == ZEROS[..piece.len()])
}

/// The number of bytes at whose multiples the frames of a file begin.
///
/// In segments that is the unit in which the disk is written past the cache, so that no frame shares a unit with another
/// one: a write that is torn cannot hurt what was durable before. Files that are written once, and segments of format 2,
/// have [`Self::NARROW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAlign(u32);

impl Default for FrameAlign {
    fn default() -> Self {
        Self::NARROW
    }
}

impl FrameAlign {
    /// Less than a sector.
    pub const NARROW: Self = Self(64);
    /// A sector.
    pub const SECTOR: Self = Self(SECTOR_BYTES as u32);
    /// The widest.
    pub const PAGE: Self = Self(4096);

    /// Returns the alignment of so many bytes; `None` where they are none: not a power of two between the narrowest and the
    /// widest.
    #[must_use]
    pub fn of_bytes(bytes: u32) -> Option<Self> {
        let is_known = bytes.is_power_of_two() && (Self::NARROW.0..=Self::PAGE.0).contains(&bytes);
        is_known.then_some(Self(bytes))
    }

    /// Returns its bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// Returns the bytes that a frame with such a payload takes on the disk.
    #[must_use]
    pub const fn frame_bytes(self, payload_bytes: usize) -> usize {
        (FRAME_HEADER_BYTES + payload_bytes + 1).next_multiple_of(self.bytes())
    }
}

/// A frame's header, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// Records in it.
    pub count: u32,
    /// The number of the first of them.
    pub first_lsn: Lsn,
    /// The payload's checksum.
    pub payload_crc: u32,
}

impl FrameHeader {
    /// Returns the bytes from the header to the next frame's.
    #[must_use]
    pub fn frame_bytes(&self, align: FrameAlign) -> u64 {
        align.frame_bytes(self.payload_bytes as usize) as u64
    }

    /// Returns the number of the last record; of a batch without records, that of the one before it.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn((self.first_lsn.0 + u64::from(self.count)).saturating_sub(1))
    }

    /// Returns the header that `bytes` begin with, if they were written and it is one.
    #[must_use]
    pub fn find(seed: u32, bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        (!is_zero(head)).then(|| Self::decode(seed, head)).flatten()
    }

    /// Reads a header; `None` when its checksum is wrong.
    #[must_use]
    pub fn decode(seed: u32, bytes: &[u8; FRAME_HEADER_BYTES]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let crc = crc32c::crc32c_append(seed, &bytes[..28]);
        (word(28) == crc).then(|| Self {
            payload_bytes: word(0),
            count: word(4),
            first_lsn: Lsn(u64::from_le_bytes(
                bytes[8..16].try_into().expect("8 bytes"),
            )),
            payload_crc: word(16),
        })
    }

    fn encode(&self, seed: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// Turns `buffer`, which holds room for a header and then the payload, into a frame.
pub fn seal(seed: u32, align: FrameAlign, first_lsn: Lsn, count: u32, buffer: &mut Vec<u8>) {
    let payload = &buffer[FRAME_HEADER_BYTES..];
    let header = FrameHeader {
        payload_bytes: u32::try_from(payload.len()).expect("a batch is bounded"),
        count,
        first_lsn,
        payload_crc: crc32c::crc32c_append(seed, payload),
    };
    buffer[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode(seed));
    buffer.push(END_MARK);
    buffer.resize(buffer.len().next_multiple_of(align.bytes()), 0);
}

/// Returns whether a damaged frame can be the trace of a write that the machine did not finish: a sector of
/// it (from the second on: the first holds the header, which is there) was never written, and so is
/// still zero. No sector of a whole frame is zero, because texts hold no NUL, quantities are not 0,
/// and the end mark is not either.
#[must_use]
pub fn is_torn(frame_offset: u64, frame_until_end_mark: &[u8]) -> bool {
    let to_next_sector = SECTOR_BYTES - (frame_offset % SECTOR_BYTES as u64) as usize;
    let later = frame_until_end_mark
        .get(to_next_sector..)
        .unwrap_or_default();
    later.chunks(SECTOR_BYTES).any(is_zero)
}
