//! A piece of maintenance: of which kind it was, and from when to when.

use std::fmt;

use serde::Serialize;

/// The kinds of maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A snapshot is folded and written.
    Snapshot,
    /// The next segment is prepared.
    Segment,
    /// An ended sale is written to a file, and leaves memory.
    EndedSale,
    /// Segments that are old enough are removed.
    Trim,
    /// A sale with a long list of items is created.
    Creation,
    /// A sale is closed.
    Closing,
    /// `flashsale journal backup` copies the journal.
    Backup,
    /// `flashsale verify` reads the journal and asks the server.
    Verify,
    /// Work of the housekeeping thread that no line of the log names.
    Unnamed,
}

impl Kind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Snapshot,
        Self::Segment,
        Self::EndedSale,
        Self::Trim,
        Self::Creation,
        Self::Closing,
        Self::Backup,
        Self::Verify,
        Self::Unnamed,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Snapshot => "snapshot",
            Self::Segment => "segment prepared",
            Self::EndedSale => "ended sale put away",
            Self::Trim => "segments removed",
            Self::Creation => "sale created",
            Self::Closing => "sale closed",
            Self::Backup => "journal backup",
            Self::Verify => "verify",
            Self::Unnamed => "other housekeeping",
        })
    }
}

/// A piece of maintenance, with times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its kind.
    pub kind: Kind,
    /// When it began.
    pub begin: f64,
    /// When it ended, or was ended with the run.
    pub end: f64,
}

impl Task {
    /// Returns it with times that are counted from `first` on.
    #[must_use]
    pub fn since(self, first: f64) -> Self {
        Self {
            begin: self.begin - first,
            end: self.end - first,
            ..self
        }
    }

    /// Returns whether it was going on in the second with this number.
    #[must_use]
    pub fn touches(&self, second: usize) -> bool {
        let second = second as f64;
        self.begin < second + 1.0 && self.end >= second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_touches_every_second_that_it_has_a_part_of() {
        let task = Task {
            kind: Kind::Trim,
            begin: 12.9,
            end: 15.1,
        };
        let task = task.since(10.0);
        let touched: Vec<_> = (0..8).filter(|&it| task.touches(it)).collect();
        assert_eq!(touched, [2, 3, 4, 5]);
    }
}
