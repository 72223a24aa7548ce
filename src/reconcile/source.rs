//! The journal, as far as those who follow it may see it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SinkError;
use super::watermark::Watermark;
use crate::env::Disk;
use crate::journal::{self, Journal, JournalError, Tail};
use crate::planted::{Slip, is_planted};
use crate::record::Entry;
use crate::types::Lsn;

/// A journal, to be read up to its durable end: somebody may be writing to it.
pub struct RecordSource {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    durable: Box<dyn Fn() -> Lsn + Send>,
    is_settled: Box<dyn Fn() -> bool + Send>,
    syncs: bool,
}

/// Where a sink stands in a journal.
pub(super) enum Located {
    /// It holds the records before this place and no others.
    Continues(Tail),
    /// It holds nothing, or the journal no longer holds what comes next.
    StartsOver,
    /// What it holds is not of this journal, as this says.
    Diverged(SinkError),
}

impl RecordSource {
    /// The open `journal`. With `syncs` the journal's own word is not enough, because it counts records
    /// as durable that a power cut may take: they are synced before they go anywhere.
    #[must_use]
    pub fn new(journal: Arc<Journal>, syncs: bool) -> Self {
        let settling = Arc::clone(&journal);
        Self {
            disk: Arc::clone(journal.disk()),
            dir: journal.dir().to_owned(),
            is_settled: Box::new(move || settling.is_settled()),
            durable: Box::new(move || {
                if is_planted(Slip::FollowsUnwritten) {
                    return Lsn(journal.status().appended_lsn);
                }
                let is_local = is_planted(Slip::FollowsUnacknowledged);
                let local = is_local.then(|| journal.reached()).flatten();
                local.map_or_else(|| journal.durable(), |reached| reached.local)
            }),
            syncs,
        }
    }

    /// A journal that nobody writes to, whose last record is `last`.
    #[must_use]
    pub fn resting(disk: Arc<dyn Disk>, dir: &Path, last: Lsn) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            durable: Box::new(move || last),
            is_settled: Box::new(|| true),
            syncs: false,
        }
    }

    /// Makes sure that a sink which says `found` holds nothing but what is of this journal.
    ///
    /// # Errors
    /// [`SinkError::Diverged`], or the journal cannot be read.
    pub fn check(&self, found: Watermark) -> Result<(), SinkError> {
        match self.locate(found)? {
            Located::Diverged(error) => Err(error),
            Located::Continues(_) | Located::StartsOver => Ok(()),
        }
    }

    /// The last record that may be read.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        (self.durable)()
    }

    /// Checks that what is durable may be handed on.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] while the journal's disk is so full that what a start has found there cannot
    /// be made certain.
    pub(super) fn check_settled(&self) -> Result<(), SinkError> {
        if (self.is_settled)() {
            return Ok(());
        }
        let why =
            "the disk of the journal is full, and its last records are not certain to be on it";
        Err(SinkError::Unavailable(why.into()))
    }

    /// The disk that the journal is on.
    #[must_use]
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The journal's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the journal still holds its first record, or will.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn is_complete(&self) -> Result<bool, JournalError> {
        Ok(self.tail_after(Lsn::ZERO)?.is_some())
    }

    /// Makes sure that no power cut takes what `tail` has read.
    pub(super) fn settle(&self, tail: &mut Tail) -> Result<(), JournalError> {
        if self.syncs { tail.sync() } else { Ok(()) }
    }

    pub(super) fn tail_after(&self, after: Lsn) -> Result<Option<Tail>, JournalError> {
        Tail::after(Arc::clone(&self.disk), &self.dir, after, self.durable())
    }

    /// What `look` says of the record at `lsn`; `None` when the journal no longer holds it, or not yet.
    pub(super) fn with_record<T>(
        &self,
        lsn: Lsn,
        look: &mut dyn FnMut(&Entry<'_>) -> T,
    ) -> Result<Option<T>, JournalError> {
        if lsn == Lsn::ZERO || lsn > self.durable() {
            return Ok(None);
        }
        let found = self.tail_from(lsn, look)?;
        Ok(found.map(|(_, seen)| seen))
    }

    /// What `look` makes of the record `lsn`, which must be durable, and the way on behind it; `None`
    /// when the journal no longer holds that record.
    fn tail_from<T>(
        &self,
        lsn: Lsn,
        look: &mut dyn FnMut(&Entry<'_>) -> T,
    ) -> Result<Option<(Tail, T)>, JournalError> {
        let Some(mut tail) = self.tail_after(Lsn(lsn.0 - 1))? else {
            return Ok(None);
        };
        let mut seen = None;
        tail.read(lsn, &mut |entry| {
            entry.check()?;
            seen = Some(look(entry));
            Ok(true)
        })?;
        Ok(seen.map(|seen| (tail, seen)))
    }

    /// Where a sink that says `found` stands.
    pub(super) fn locate(&self, found: Watermark) -> Result<Located, SinkError> {
        if found.lsn == Lsn::ZERO {
            return Ok(Located::StartsOver);
        }
        let durable = self.durable();
        if found.lsn > durable {
            let ahead = SinkError::ahead(found.lsn, durable);
            return Ok(Located::Diverged(ahead));
        }
        // Whether the record is the one that the sink means.
        let Some((tail, fingerprint)) = self.tail_from(found.lsn, &mut journal::fingerprint)?
        else {
            return Ok(Located::StartsOver);
        };
        if fingerprint == found.fingerprint {
            return Ok(Located::Continues(tail));
        }
        Ok(Located::Diverged(SinkError::Diverged(format!(
            "its record {} is not the one of this journal",
            found.lsn
        ))))
    }
}
