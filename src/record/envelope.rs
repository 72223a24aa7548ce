//! The envelope of a record: `length: u32 | kind: u8 | at: i64 | fields`, little-endian, `length` counting
//! what follows it.
//!
//! The journal reads and writes envelopes and leaves kind and fields alone: it takes an [`Encode`] and hands out an
//! [`Entry`]. The parts above it decode an entry with [`Entry::record`].

use std::fmt;

use super::{Record, codec};
use crate::types::{Lsn, Timestamp};

/// Bytes of the length.
const LENGTH_BYTES: usize = 4;
/// Bytes before the fields: length, kind and time.
const HEAD_BYTES: usize = LENGTH_BYTES + 1 + 8;

/// A record that can be written into a journal.
pub trait Encode {
    /// Returns the number that says how the fields are read.
    fn kind(&self) -> u8;

    /// Appends the fields to `out`.
    fn encode_fields(&self, out: &mut Vec<u8>);
}

/// Appends `record`, decided at `at`, to `out` in its envelope.
#[inline]
pub fn encode(at: Timestamp, record: &impl Encode, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(record.kind());
    out.extend_from_slice(&at.0.to_le_bytes());
    record.encode_fields(out);
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// One record of a journal as bytes, with its place and time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// When it was decided.
    pub at: Timestamp,
    kind: u8,
    bytes: &'a [u8],
}

/// The record as another journal has it, byte by byte.
impl Encode for Entry<'_> {
    fn kind(&self) -> u8 {
        self.kind
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fields());
    }
}

/// A record whose kind or fields this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is not one that this build can read")]
pub struct Undecodable;

impl<'a> Entry<'a> {
    /// Takes the first envelope off `bytes`, as that of the record `lsn`; the rest follows it. `None` when the
    /// bytes are no envelope. Kind and fields are not checked.
    #[must_use]
    pub fn split_first(lsn: Lsn, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let (length, rest) = head.split_first_chunk::<LENGTH_BYTES>()?;
        let (kind, at) = rest.split_first()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, rest) = bytes.split_at_checked(LENGTH_BYTES.checked_add(length)?)?;
        let entry = Self {
            lsn,
            at: Timestamp(i64::from_le_bytes(at.try_into().ok()?)),
            kind: *kind,
            bytes,
        };
        (bytes.len() >= HEAD_BYTES).then_some((entry, rest))
    }

    /// Reads `bytes`, which must be one envelope, as that of the record `lsn`.
    ///
    /// # Errors
    /// They are not.
    pub fn whole(lsn: Lsn, bytes: &'a [u8]) -> Result<Self, Undecodable> {
        match Self::split_first(lsn, bytes) {
            Some((entry, [])) => Ok(entry),
            _ => Err(Undecodable),
        }
    }

    /// Returns the entry under another number: in a file that stands for one record of the journal, every record has
    /// that one's.
    #[must_use]
    pub fn numbered(self, lsn: Lsn) -> Self {
        Self { lsn, ..self }
    }

    /// Returns the number that says how the fields are read.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// Returns the fields, not checked.
    #[must_use]
    pub fn fields(&self) -> &'a [u8] {
        &self.bytes[HEAD_BYTES..]
    }

    /// Returns the whole envelope, as the journal has it.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decodes the record, and checks all of it.
    ///
    /// # Errors
    /// The kind or the fields are none that this build knows.
    #[inline]
    pub fn record(&self) -> Result<Record<'a>, Undecodable> {
        codec::decode_fields(self.kind, self.fields()).ok_or(Undecodable)
    }

    /// Checks that this build can decode the record.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self) -> Result<(), Undecodable> {
        self.record().map(drop)
    }
}

/// Prints no field: a code in a log could be spent by a reader of the log.
impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("lsn", &self.lsn)
            .field("at", &self.at)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
