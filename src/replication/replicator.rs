//! The leader's side: brings what the journal decides into the log, a frame at a time, and says what may be told.

use std::sync::Arc;

use super::complaints::Complaints;
use super::log::{Appended, Epoch, LeaderProgress, LogEpoch, LogError, ReplicatedLog};
use super::position::{FrameError, LogFrame, Position};
use super::status::{ReplicationStatus, Role, now_us};
use crate::env::Clock;
use crate::journal::{Journal, JournalError, Outbox, OutgoingBatch, Tail};
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::record::envelope::Entry;
use crate::types::Lsn;

/// The reason why a server may lead no longer.
#[derive(Debug, thiserror::Error)]
pub enum Deposed {
    /// Another one leads.
    #[error("another server has taken over")]
    Fenced,
    /// The log holds what this server never wrote.
    #[error("the log is at {log}, which does not fit what was written here up to {here}")]
    Diverged {
        /// The place of the log.
        log: Position,
        /// The place of this server.
        here: Position,
    },
    /// The log has lost records that this journal no longer has either.
    #[error(
        "the log has come back at record {0}, and this journal no longer holds the records behind it"
    )]
    TooOld(Lsn),
    /// The outbox holds what cannot be a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done; there may be more.
    Moved,
    /// There is nothing to do.
    Idle,
    /// The log does not answer as it should.
    Unanswered,
}

/// The replicator of one leader, for as long as it leads.
pub struct Replicator {
    log: Box<dyn ReplicatedLog>,
    outbox: Arc<Outbox>,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    status: Arc<ReplicationStatus>,
    epoch: LogEpoch,
    /// The last record that is known to be acknowledged.
    at: Position,
    /// The last record that all databases have that this server fills.
    followed: Lsn,
    /// Whether the log is known to be there. Otherwise something was asked whose outcome is open.
    is_certain: bool,
    asked_us: u64,
    /// What was logged since the log answered.
    complaints: Complaints,
    beat_every_us: u64,
}

impl Replicator {
    /// Creates the replicator of a leader that has taken over in the time `epoch`, at `at`, by a question of the time `asked_us`.
    #[must_use]
    pub fn new(
        log: Box<dyn ReplicatedLog>,
        outbox: Arc<Outbox>,
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        status: Arc<ReplicationStatus>,
        leadership: Leadership,
        takeover_ms: u32,
    ) -> Self {
        Self {
            log,
            outbox,
            journal,
            clock,
            status,
            epoch: leadership.epoch,
            at: leadership.at,
            followed: Lsn::ZERO,
            is_certain: true,
            asked_us: leadership.asked_us,
            complaints: Complaints::default(),
            beat_every_us: u64::from(takeover_ms / limits::BEATS_PER_TAKEOVER) * 1000 / 2,
        }
    }

    /// The last record that is known to be acknowledged.
    #[must_use]
    pub fn at(&self) -> Position {
        self.at
    }

    /// The batches that the log does not have yet.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The time that this server leads in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch.epoch
    }

    /// Does what is due: finds out what became of an open question, appends what waits, or gives a sign.
    ///
    /// # Errors
    /// This server leads no longer. Nothing that is not acknowledged by now may ever be told.
    pub fn turn(&mut self) -> Result<Turn, Deposed> {
        let asked_us = now_us(&*self.clock);
        let done = if !self.is_certain {
            self.resolve(asked_us)
        } else if let Some(batch) = self.outbox.front(limits::LOG_FRAME_BYTES_MAX) {
            self.append(batch, asked_us)
        } else if asked_us.saturating_sub(self.asked_us) >= self.beat_every_us {
            self.resolve(asked_us)
        } else {
            return Ok(Turn::Idle);
        };
        match done {
            Ok(()) => Ok(Turn::Moved),
            Err(Stop::Open(error)) => {
                let is_full = matches!(error, LogError::Full(_));
                let error = error.to_string();
                self.status.failed(&error, is_full);
                if self.complaints.note(&error) {
                    tracing::warn!("the replicated log: {error}");
                }
                Ok(Turn::Unanswered)
            }
            Err(Stop::Deposed(deposed)) => {
                self.status.set_role(Role::Fenced);
                Err(deposed)
            }
        }
    }

    /// Notes the last record that all databases have that this server fills, which it says to its standbys with its next sign; 0 where it fills none.
    pub fn note_followed(&mut self, followed: Lsn) {
        self.followed = followed;
    }

    /// Offers the leadership to the first server that asks. Everything must have been acknowledged. Returns whether it did: `false` where another
    /// server has taken over.
    ///
    /// # Errors
    /// It is not known whether it was offered: a standby takes over after its time, then.
    pub fn offer(&mut self) -> Result<bool, LogError> {
        self.log.offer(self.epoch)
    }

    /// Removes what nobody needs from the log: what is far behind the last record.
    pub fn trim(&mut self) {
        let through = Lsn(self.at.lsn.0.saturating_sub(self.log.records_kept()));
        if let Err(error) = self.log.trim(self.epoch.log, through) {
            tracing::warn!("the replicated log was not trimmed: {error}");
        }
    }

    fn progress(&self, at: Position) -> LeaderProgress {
        LeaderProgress {
            acknowledged: at.lsn,
            followed: self.followed.min(at.lsn),
        }
    }

    fn append(&mut self, batch: OutgoingBatch, asked_us: u64) -> Result<(), Stop> {
        let frame = LogFrame::behind(self.at, batch)?;
        // Until it is known that it was not so.
        self.is_certain = false;
        let appended = self
            .log
            .append(self.epoch, self.at, &frame, self.progress(self.at));
        let appended = match is_planted(Slip::AcknowledgesOpenAppends) {
            true => Ok(Appended::Done),
            false => appended,
        };
        match appended? {
            Appended::Done => {
                let took_us = now_us(&*self.clock).saturating_sub(asked_us);
                self.status.count_append(took_us);
                self.reach(frame.last, asked_us);
                Ok(())
            }
            // It may be there already, by an earlier attempt; or another one leads.
            Appended::NotThere => self.resolve(asked_us),
        }
    }

    /// Asks where the log is, and goes on from there.
    fn resolve(&mut self, asked_us: u64) -> Result<(), Stop> {
        let found = match is_planted(Slip::TrustsWhatItSees) {
            true => self.log.peek()?.map(|head| head.last),
            false => self.log.barrier(self.epoch, self.progress(self.at))?,
        };
        self.status.count_barrier();
        let found = found.ok_or(Deposed::Fenced)?;
        let at = if found.lsn < self.at.lsn {
            tracing::warn!(
                log = found.lsn.0,
                acknowledged = self.at.lsn.0,
                "the replicated log has come back older than it was; it gets what it lacks once more"
            );
            self.append_again(found)?;
            self.at
        } else {
            self.check_ahead(found)?;
            found
        };
        self.reach(at, asked_us);
        Ok(())
    }

    fn reach(&mut self, at: Position, asked_us: u64) {
        self.is_certain = true;
        self.asked_us = asked_us;
        self.at = at;
        self.status.heard(asked_us);
        self.complaints.clear();
        self.status.set_head(at.lsn);
        self.status.set_replicated(at);
        if self.outbox.reached().replicated < at.lsn {
            self.outbox.note_replicated(at.lsn);
        }
    }

    /// Checks that the log came from here to `found` by what waits in the outbox.
    fn check_ahead(&self, found: Position) -> Result<(), Deposed> {
        let diverged = Deposed::Diverged {
            log: found,
            here: self.at,
        };
        if found == self.at {
            return Ok(());
        }
        let Some(batch) = self.outbox.front(usize::MAX) else {
            return Err(diverged);
        };
        let mut is_ours = false;
        let frame = LogFrame::behind(self.at, batch)?;
        frame.visit::<FrameError>(self.at, &mut |_, at| {
            is_ours |= at == found;
            Ok(())
        })?;
        is_ours.then_some(()).ok_or(diverged)
    }

    /// Appends once more what was acknowledged and is no longer in the log: this journal is one more copy of it.
    fn append_again(&mut self, found: Position) -> Result<(), Stop> {
        if self.chain_from(found)? != Some(self.at) {
            return Err(Deposed::Diverged {
                log: found,
                here: self.at,
            }
            .into());
        }
        let mut at = found;
        while at != self.at {
            let frame = self.frame_behind(at)?.ok_or(Deposed::TooOld(at.lsn))?;
            // That all of it was acknowledged stays in the log: a standby that finds less does not lead.
            let progress = self.progress(self.at);
            match self.log.append(self.epoch, at, &frame, progress)? {
                Appended::Done => at = frame.last,
                Appended::NotThere => {
                    let moved = "it moved while it was given what it lacks".to_owned();
                    return Err(LogError::Unknown(moved).into());
                }
            }
        }
        Ok(())
    }

    /// Returns the place that this journal's records lead to from `found` on, up to the last acknowledged one; `None` where it no
    /// longer holds them.
    fn chain_from(&self, found: Position) -> Result<Option<Position>, Deposed> {
        let mut at = found;
        let read = self.read_behind(found.lsn, &mut |entry| {
            at = at.then(entry);
            true
        })?;
        Ok(read.then_some(at))
    }

    fn frame_behind(&self, at: Position) -> Result<Option<LogFrame>, Deposed> {
        let mut batch = OutgoingBatch {
            first: at.lsn.next(),
            last: at.lsn,
            records: Vec::new(),
        };
        self.read_behind(at.lsn, &mut |entry| {
            let has_room = batch.records.len() + entry.bytes().len() <= limits::LOG_FRAME_BYTES_MAX;
            if has_room || batch.records.is_empty() {
                batch.records.extend_from_slice(entry.bytes());
                batch.last = entry.lsn;
            }
            has_room
        })?;
        let is_there = !batch.records.is_empty();
        Ok(is_there.then(|| LogFrame::behind(at, batch)).transpose()?)
    }

    /// Hands the journal's records behind `after`, up to the last acknowledged one, to `visit`, until that returns `false`. Returns
    /// whether the journal holds them.
    fn read_behind(
        &self,
        after: Lsn,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<bool, JournalError> {
        let disk = Arc::clone(self.journal.disk());
        let Some(mut tail) = Tail::after(disk, self.journal.dir(), after, self.at.lsn)? else {
            return Ok(false);
        };
        tail.read(self.at.lsn, &mut |entry| Ok(visit(entry)))?;
        Ok(true)
    }
}

/// The leadership that a server has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The time that it leads in.
    pub epoch: LogEpoch,
    /// The last record before it.
    pub at: Position,
    /// When the question was asked by which it was taken, in microseconds of [`now_us`].
    pub asked_us: u64,
}

enum Stop {
    Open(LogError),
    Deposed(Deposed),
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Open(error)
    }
}

impl From<Deposed> for Stop {
    fn from(deposed: Deposed) -> Self {
        Self::Deposed(deposed)
    }
}

impl From<FrameError> for Stop {
    fn from(error: FrameError) -> Self {
        Self::Deposed(error.into())
    }
}
