//! Reads the frames of a segment and tells its end from a torn batch and from damage.

use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES, FrameHeader, is_zero};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::env::give_way;
use crate::planted::{Slip, is_planted};
use crate::record::envelope::{Entry, Undecodable};
use crate::types::Lsn;

/// Bytes read from the disk at once.
const WINDOW_BYTES: usize = 1024 * 1024;

/// The end of the frames of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEnd {
    /// The offset behind the last whole frame.
    pub offset: u64,
    /// The offset of the last whole frame, if there is one.
    pub last_frame_offset: Option<u64>,
    /// Behind it lies a part of a batch whose write was not finished.
    pub torn: bool,
}

/// A whole, verified frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its header.
    pub header: FrameHeader,
    /// Where it stands in the file.
    pub offset: u64,
    payload: &'a [u8],
}

/// Reads a segment from its first frame on.
pub struct SegmentReader<'a> {
    segment: &'a Segment,
    window: Vec<u8>,
    window_offset: u64,
    offset: u64,
    last_frame_offset: Option<u64>,
    next_lsn: Option<Lsn>,
}

enum Step {
    Frame(FrameHeader),
    End { torn: bool },
}

impl<'a> SegmentReader<'a> {
    /// Creates a reader that expects the record `next_lsn` first, or any when `None`.
    #[must_use]
    pub fn new(segment: &'a Segment, next_lsn: Option<Lsn>) -> Self {
        Self {
            segment,
            window: Vec::new(),
            window_offset: 0,
            offset: SEGMENT_HEADER_BYTES,
            last_frame_offset: None,
            next_lsn,
        }
    }

    /// Returns the first record of `segment`, as the header of its first batch says; `None` when there is none,
    /// or its header is damaged. Reads the header alone: damage is found when the segment is read.
    pub(super) fn first_lsn(segment: &Segment) -> Option<Lsn> {
        let mut head = [0; FRAME_HEADER_BYTES];
        let read = segment.file.read_at(&mut head, SEGMENT_HEADER_BYTES).ok()?;
        let header = FrameHeader::find(segment.header.seed, &head[..read]);
        header.map(|header| header.first_lsn)
    }

    /// Creates a reader that goes on at `offset`, where an earlier one stood before the record `next_lsn`.
    #[must_use]
    pub(super) fn at(segment: &'a Segment, offset: u64, next_lsn: Option<Lsn>) -> Self {
        Self {
            offset,
            ..Self::new(segment, next_lsn)
        }
    }

    /// Returns where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number that the next record will have, once it is known.
    #[must_use]
    pub fn next_lsn(&self) -> Option<Lsn> {
        self.next_lsn
    }

    /// Returns the next frame, or where the frames end.
    ///
    /// # Errors
    /// Damage, or the file cannot be read.
    pub fn next_frame(&mut self) -> Result<Result<Frame<'_>, SegmentEnd>, JournalError> {
        match self.step()? {
            Step::End { torn } => {
                self.check_end_is_there()?;
                Ok(Err(SegmentEnd {
                    offset: self.offset,
                    last_frame_offset: self.last_frame_offset,
                    torn,
                }))
            }
            Step::Frame(header) => {
                let offset = self.offset;
                self.last_frame_offset = Some(offset);
                self.offset += header.frame_bytes(self.segment.header.align);
                self.next_lsn = Some(Lsn(header.first_lsn.0 + u64::from(header.count)));
                let length = header.payload_bytes as usize;
                let payload = self.bytes(offset + FRAME_HEADER_BYTES as u64, length)?;
                Ok(Ok(Frame {
                    header,
                    offset,
                    payload,
                }))
            }
        }
    }

    fn step(&mut self) -> Result<Step, JournalError> {
        let (offset, seed) = (self.offset, self.segment.header.seed);
        let head = self.bytes(offset, FRAME_HEADER_BYTES)?;
        if is_zero(head) {
            let torn = self.anything_from(offset)?;
            return self.end(torn, "a batch is missing before this segment's last ones");
        }
        let Some(header) = head
            .try_into()
            .ok()
            .and_then(|h| FrameHeader::decode(seed, h))
        else {
            // A header lies in one sector: it is there as a whole or not at all, except where the
            // file itself was cut off.
            return if self.is_cut_within(offset, FRAME_HEADER_BYTES as u64)? {
                Ok(Step::End { torn: true })
            } else {
                Err(self.damage("the checksum of a batch's header is wrong"))
            };
        };
        if self
            .next_lsn
            .is_some_and(|expected| expected != header.first_lsn)
        {
            let expected = self.next_lsn.unwrap_or_default();
            let found = header.first_lsn;
            return Err(self.damage(&format!("record {expected} is missing, {found} is here")));
        }
        let length = header.payload_bytes as usize + 1;
        let body = self.bytes(offset + FRAME_HEADER_BYTES as u64, length)?;
        let whole = body.len() == length && body[length - 1] == frame::END_MARK;
        let is_intact = || crc32c::crc32c_append(seed, &body[..length - 1]) == header.payload_crc;
        if whole && (is_intact() || is_planted(Slip::SkipsChecksum)) {
            return self.check_padding(header);
        }
        self.torn_or_damaged(&header)
    }

    fn check_padding(&mut self, header: FrameHeader) -> Result<Step, JournalError> {
        let used = (FRAME_HEADER_BYTES + header.payload_bytes as usize + 1) as u64;
        let padding = (header.frame_bytes(self.segment.header.align) - used) as usize;
        let bytes = self.bytes(self.offset + used, padding)?;
        if !is_zero(bytes) {
            return Err(self.damage("a batch is followed by bytes that nobody wrote"));
        }
        Ok(Step::Frame(header))
    }

    fn torn_or_damaged(&mut self, header: &FrameHeader) -> Result<Step, JournalError> {
        let (offset, align) = (self.offset, self.segment.header.align);
        let frame_bytes = header.frame_bytes(align);
        let until_end_mark = FRAME_HEADER_BYTES + header.payload_bytes as usize + 1;
        let cut = self.is_cut_within(offset, until_end_mark as u64)?;
        let bytes = self.bytes(offset, until_end_mark)?;
        if !cut && !frame::is_torn(offset, bytes) {
            return Err(self.damage("the checksum of a batch is wrong"));
        }
        self.offset += frame_bytes;
        let later = self.find_frame_from(offset + frame_bytes);
        self.offset = offset;
        match later? {
            // It was written when all before it was durable.
            None => {
                self.next_lsn = Some(header.first_lsn);
                Ok(Step::End { torn: true })
            }
            Some(_) => Err(self.damage("a batch before this segment's last ones is incomplete")),
        }
    }

    /// Returns an end, if no whole header follows: a batch is written only when the one before is durable.
    fn end(&mut self, torn: bool, missing: &str) -> Result<Step, JournalError> {
        if torn && self.find_frame_from(self.offset)?.is_some() {
            return Err(self.damage(missing));
        }
        Ok(Step::End { torn })
    }

    /// Checks the length of the file. A segment has its whole length before it has its name; a shorter one was cut. Then
    /// nothing is lost only if the zeros that end the frames are still there.
    fn check_end_is_there(&mut self) -> Result<(), JournalError> {
        let head = self.bytes(self.offset, FRAME_HEADER_BYTES)?;
        if head.len() == FRAME_HEADER_BYTES && is_zero(head) {
            return Ok(());
        }
        let (file, path) = (&self.segment.file, &self.segment.path);
        let found = file
            .length_bytes()
            .map_err(JournalError::io("read", path))?;
        let expected = self.segment.header.length_bytes;
        if found >= expected {
            return Ok(());
        }
        Err(self.damage(&format!("the file has {found} bytes instead of {expected}")))
    }

    fn find_frame_from(&mut self, start: u64) -> Result<Option<u64>, JournalError> {
        let (seed, align) = (self.segment.header.seed, self.segment.header.align.bytes());
        let mut offset = start;
        loop {
            let bytes = self.bytes(offset, WINDOW_BYTES)?;
            let length = bytes.len();
            let mut places = bytes.chunks(align);
            if let Some(index) = places.position(|place| FrameHeader::find(seed, place).is_some()) {
                return Ok(Some(offset + (index * align) as u64));
            }
            if length < WINDOW_BYTES {
                return Ok(None);
            }
            offset += WINDOW_BYTES as u64;
        }
    }

    fn anything_from(&mut self, start: u64) -> Result<bool, JournalError> {
        let mut offset = start;
        loop {
            let bytes = self.bytes(offset, WINDOW_BYTES)?;
            if !is_zero(bytes) {
                return Ok(true);
            }
            if bytes.len() < WINDOW_BYTES {
                return Ok(false);
            }
            offset += WINDOW_BYTES as u64;
        }
    }

    fn is_cut_within(&mut self, offset: u64, length: u64) -> Result<bool, JournalError> {
        Ok(self.bytes(offset, length as usize)?.len() < length as usize)
    }

    /// Returns `length` bytes from `offset` on, fewer where the file ends.
    fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8], JournalError> {
        let window_end = self.window_offset + self.window.len() as u64;
        if offset < self.window_offset || offset + length as u64 > window_end {
            let (file, path) = (&self.segment.file, &self.segment.path);
            let file_bytes = file
                .length_bytes()
                .map_err(JournalError::io("measure", path))?;
            let rest = file_bytes.saturating_sub(offset);
            let window = rest.min(WINDOW_BYTES as u64) as usize;
            file.read_into(&mut self.window, offset, window.max(length))
                .map_err(JournalError::io("read", path))?;
            self.window_offset = offset;
        }
        let start = (offset - self.window_offset) as usize;
        Ok(&self.window[start..(start + length).min(self.window.len())])
    }

    fn damage(&self, what: &str) -> JournalError {
        damaged(self.segment, self.offset, what)
    }
}

fn damaged(segment: &Segment, offset: u64, what: &str) -> JournalError {
    JournalError::Damaged {
        path: segment.path.clone(),
        offset,
        what: what.to_owned(),
    }
}

/// Visits a record only to check that this build can decode it.
///
/// # Errors
/// It cannot.
pub fn check_decodable(entry: Entry<'_>) -> Result<(), JournalError> {
    Ok(entry.check()?)
}

impl Frame<'_> {
    /// Hands every record to `visit`, in order.
    ///
    /// # Errors
    /// Bytes that are no record, or the visitor's own error. Where that is [`JournalError::Undecodable`] the
    /// frame is damaged, and the error says where it is.
    pub fn visit(
        &self,
        segment: &Segment,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.visit_while(segment, &mut |entry| visit(entry).map(|()| true))
            .map(drop)
    }

    /// Hands records to `visit`, in order, until it returns `false`. Returns whether it never did.
    ///
    /// # Errors
    /// The errors of [`Self::visit`].
    pub(super) fn visit_while(
        &self,
        segment: &Segment,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, JournalError>,
    ) -> Result<bool, JournalError> {
        let mut rest = self.payload;
        let mut lsn = self.header.first_lsn;
        for _ in 0..self.header.count {
            let (visited, after) = match Entry::split_first(lsn, rest) {
                Some((entry, after)) => (visit(entry), after),
                None => (Err(Undecodable.into()), rest),
            };
            match visited {
                Ok(true) => {
                    (rest, lsn) = (after, lsn.next());
                    give_way();
                }
                Ok(false) => return Ok(false),
                Err(JournalError::Undecodable(_)) => {
                    let what = format!("record {lsn} is not one that this build can read");
                    return Err(damaged(segment, self.offset, &what));
                }
                Err(error) => return Err(error),
            }
        }
        if rest.is_empty() {
            return Ok(true);
        }
        Err(damaged(
            segment,
            self.offset,
            "a batch holds more than its header says",
        ))
    }
}
