//! Places in the order of records, with a hash of everything before them.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::journal::OutgoingBatch;
use crate::record::envelope::{Entry, Undecodable};
use crate::types::Lsn;

/// A hash of all records up to one, each with what came before it: where two logs agree on it, they agree on all of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Chain(u64);

impl Chain {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// Returns the chain up to `entry`, where this is the chain up to the record before it.
    #[must_use]
    pub fn then(self, entry: &Entry<'_>) -> Self {
        Self(xxh3_64_with_seed(entry.bytes(), self.0))
    }

    /// Returns the number to store, which has a sign where databases want one.
    #[must_use]
    pub const fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// Returns the chain that was stored as `stored`.
    #[must_use]
    pub const fn from_stored(stored: i64) -> Self {
        Self(stored.cast_unsigned())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

/// A record as a place: its number, and the chain up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the record; 0 before the first.
    pub lsn: Lsn,
    /// The chain up to it.
    pub chain: Chain,
}

impl Position {
    /// Before the first record.
    pub const START: Self = Self {
        lsn: Lsn::ZERO,
        chain: Chain::START,
    };

    /// Returns the place of `entry`, which must be the next record.
    #[must_use]
    pub fn then(self, entry: &Entry<'_>) -> Self {
        Self {
            lsn: entry.lsn,
            chain: self.chain.then(entry),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.lsn, self.chain)
    }
}

/// Some records of a replicated log that were appended together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFrame {
    /// The number of the first record.
    pub first: Lsn,
    /// The place of the last record.
    pub last: Position,
    /// The records' envelopes, one behind the other.
    pub records: Vec<u8>,
}

impl LogFrame {
    /// Makes a frame of `batch`, which follows `before`.
    ///
    /// # Errors
    /// The batch does not follow, or its bytes are no records.
    pub fn behind(before: Position, batch: OutgoingBatch) -> Result<Self, FrameError> {
        let mut frame = Self {
            first: batch.first,
            last: Position {
                lsn: batch.last,
                chain: Chain::START,
            },
            records: batch.records,
        };
        frame.last = frame.walk::<FrameError>(before, &mut |_, _| Ok(()))?;
        Ok(frame)
    }

    /// Checks that the frame leads from `from`, which is the place before it or within it, to the place that it names.
    ///
    /// # Errors
    /// It does not follow, or leads elsewhere.
    pub fn check(&self, from: Position) -> Result<(), FrameError> {
        self.visit(from, &mut |_, _| Ok(()))
    }

    /// Hands each record behind `from`, which is the place before the frame or within it, to `visit` with its own place.
    ///
    /// # Errors
    /// The frame does not follow, or its records do not lead from there to the place that it names; or the first error of `visit`, which has seen
    /// the records before.
    pub fn visit<E: From<FrameError>>(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&Entry<'_>, Position) -> Result<(), E>,
    ) -> Result<(), E> {
        let reached = self.walk(from, visit)?;
        match reached == self.last {
            true => Ok(()),
            false => Err(FrameError::Chain {
                named: self.last,
                reached,
            }
            .into()),
        }
    }

    fn walk<E: From<FrameError>>(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&Entry<'_>, Position) -> Result<(), E>,
    ) -> Result<Position, E> {
        if from.lsn.next() < self.first || from.lsn > self.last.lsn {
            return Err(FrameError::Gap {
                before: from.lsn,
                first: self.first,
            }
            .into());
        }
        let (mut at, mut next, mut rest) = (from, self.first, &*self.records);
        while !rest.is_empty() {
            let split = Entry::split_first(next, rest);
            let (entry, after) = split.ok_or(FrameError::Undecodable(Undecodable))?;
            if next > from.lsn {
                at = at.then(&entry);
                visit(&entry, at)?;
            }
            (next, rest) = (next.next(), after);
        }
        match next == self.last.lsn.next() {
            true => Ok(at),
            false => Err(FrameError::Count {
                named: self.last.lsn,
                reached: Lsn(next.0 - 1),
            }
            .into()),
        }
    }
}

/// The reason why a frame of the log cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It does not follow.
    #[error("the frame that begins with record {first} does not follow record {before}")]
    Gap {
        /// The last record before it.
        before: Lsn,
        /// Its first record.
        first: Lsn,
    },
    /// It holds more or fewer records than it says.
    #[error("the frame says that it ends with record {named}, and its bytes end with {reached}")]
    Count {
        /// The last record that it names.
        named: Lsn,
        /// The last record in it.
        reached: Lsn,
    },
    /// Its records, or those before it, are others than those that it was made of.
    #[error(
        "the frame ends at {named}, but its records lead to {reached}: there are two orders of records"
    )]
    Chain {
        /// The place that it names.
        named: Position,
        /// The place that its records lead to.
        reached: Position,
    },
    /// Its bytes are no records.
    #[error("the frame's {0}")]
    Undecodable(#[from] Undecodable),
}
