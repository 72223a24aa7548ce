//! The journal that sinks follow: what they hold must be of it, and what they need next must be in it.

use std::sync::Arc;

use super::{address, directory};
use crate::config::Config;
use crate::env::RealDisk;
use crate::reconcile::{RecordSource, SinkError, Watermark};
use crate::types::Lsn;

/// The journal, as far as it can be told what is in it.
pub(super) enum Followed<'a> {
    /// A server writes to the journal, and is asked where it ends.
    Written(&'a Config),
    /// Nobody writes to the journal, and it ends at this record.
    Resting(RecordSource, Lsn),
    /// The journal holds no record, or is not there yet.
    Empty,
    /// The journal cannot be read.
    Unknown(String),
}

/// The judgement that a server would make of a sink at its start.
pub(super) enum Fit {
    /// The sink is this many records behind.
    Behind(u64),
    /// The sink holds what is not of this journal, or needs what is no longer in it, as the error says.
    Not(SinkError),
    /// The sink cannot be compared.
    Unknown(String),
}

impl<'a> Followed<'a> {
    /// The journal of `config`. Of one that a server writes to, as `is_written` says, nothing is read.
    pub(super) fn of(config: &'a Config, is_written: bool) -> Self {
        if is_written {
            return Self::Written(config);
        }
        if let Some(why) = directory::in_use(config) {
            return Self::Unknown(why);
        }
        match directory::last_lsn(config) {
            Ok(Lsn::ZERO) => Self::Empty,
            Ok(last) => {
                let disk = Arc::new(RealDisk);
                Self::Resting(RecordSource::resting(disk, &config.journal.dir, last), last)
            }
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    /// Compares it with a sink that says `found`, which was asked before this, because a running server goes
    /// on meanwhile. `check` is what the start would do.
    pub(super) fn compare(
        &self,
        found: Watermark,
        check: impl Fn(&RecordSource, Watermark) -> Result<(), SinkError>,
    ) -> Fit {
        let last = match self {
            Self::Written(config) => match address::durable(config) {
                Some(last) => last,
                None => return Fit::Unknown("the server says no longer where it ends".into()),
            },
            Self::Resting(source, last) => match check(source, found) {
                Ok(()) => *last,
                Err(SinkError::Journal(error)) => return Fit::Unknown(error.to_string()),
                Err(error) => return Fit::Not(error),
            },
            Self::Empty => Lsn::ZERO,
            Self::Unknown(why) => return Fit::Unknown(why.clone()),
        };
        match last.0.checked_sub(found.lsn.0) {
            Some(behind) => Fit::Behind(behind),
            None => Fit::Not(SinkError::ahead(found.lsn, last)),
        }
    }
}
