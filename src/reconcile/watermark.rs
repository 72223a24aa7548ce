//! How far a sink has followed the journal.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::fingerprint;
use crate::record::Entry;
use crate::types::Lsn;

/// The last record that a sink holds, and what that record was: the number alone could be that of
/// another journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The record; 0 for none.
    pub lsn: Lsn,
    /// Its [`fingerprint`]; 0 for no record.
    pub fingerprint: u32,
}

impl Watermark {
    /// Of a sink that holds nothing.
    pub const ZERO: Self = Self {
        lsn: Lsn::ZERO,
        fingerprint: 0,
    };

    /// Of a sink whose last record is `entry`.
    #[must_use]
    pub fn at(entry: &Entry<'_>) -> Self {
        Self {
            lsn: entry.lsn,
            fingerprint: fingerprint(entry),
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} ({:08x})", self.lsn, self.fingerprint)
    }
}

/// The last record that a sink is known to hold, for whoever must not remove what it still needs. 0
/// until it has said so.
#[derive(Clone, Debug, Default)]
pub struct Applied(Arc<AtomicU64>);

impl Applied {
    /// The record.
    #[must_use]
    pub fn get(&self) -> Lsn {
        Lsn(self.0.load(Ordering::Acquire))
    }

    pub(super) fn set(&self, lsn: Lsn) {
        self.0.store(lsn.0, Ordering::Release);
    }
}
