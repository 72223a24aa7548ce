//! The standby's side: follows the log into its own journal, and takes over when the leader gives no sign.

use std::sync::Arc;

use super::log::{Epoch, Head, LogError, LogIdentity, ReplicatedLog};
use super::mark::Mark;
use super::position::{FrameError, LogFrame, Position};
use super::replicator::{Leadership, Turn};
use super::status::{ReplicationStatus, Role, now_us};
use crate::env::Clock;
use crate::journal::{Journal, JournalError, JournalFailed};
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::record::envelope::Entry;
use crate::types::Lsn;

/// Bytes of records after which a standby waits for its own disk.
const PIECE_BYTES: usize = limits::SEGMENT_BYTES_MIN as usize / 16;

/// The state that the records of a journal lead to, and that a standby keeps ready.
pub trait Fold: Send {
    /// Applies the next record.
    ///
    /// # Errors
    /// It contradicts those before it.
    fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError>;

    /// Checks every invariant, with everything up to `lsn` applied.
    ///
    /// # Errors
    /// Names what does not add up.
    fn check(&self, lsn: Lsn) -> Result<(), JournalError>;

    /// Ends the following: this server decides itself from now on.
    fn end(self: Box<Self>);
}

/// The reason why a standby cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StandbyError {
    /// The log does not answer as it should; it may later.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A frame of the log does not follow what is here.
    #[error("the replicated log does not fit this journal: {0}")]
    Frame(#[from] FrameError),
    /// The log is where this server knows that it was farther.
    #[error(
        "the replicated log ends with record {log}, but record {here} was acknowledged: it has lost records. This server does not lead \
             before they are there again"
    )]
    Lost {
        /// The last record of the log.
        log: Lsn,
        /// The last record here.
        here: Lsn,
    },
    /// There is no log any more.
    #[error("the replicated log is gone")]
    Gone,
    /// Another log has the name of the one that this server follows.
    #[error(
        "the replicated log was lost and made anew: its identity is {found}, and {ours} is followed here"
    )]
    MadeAnew {
        /// The identity of the log that is followed.
        ours: LogIdentity,
        /// The identity of the log that is there.
        found: LogIdentity,
    },
    /// The journal has failed, or the records contradict each other.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal has failed.
    #[error("the journal has failed")]
    Failed(#[from] JournalFailed),
}

impl StandbyError {
    /// Returns whether the log has no room for more.
    #[must_use]
    pub fn is_log_full(&self) -> bool {
        matches!(self, Self::Log(LogError::Full(_)))
    }

    /// Returns whether it may go on later by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Log(_) | Self::Lost { .. } | Self::Gone | Self::MadeAnew { .. }
        )
    }

    /// Returns whether the log and this journal do not fit, of which nothing has been taken.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Frame(_))
    }
}

/// The standby's way with the log.
pub struct Standby {
    log: Box<dyn ReplicatedLog>,
    identity: LogIdentity,
    journal: Arc<Journal>,
    fold: Box<dyn Fold>,
    clock: Arc<dyn Clock>,
    status: Arc<ReplicationStatus>,
    /// This server's name for itself.
    name: String,
    /// The last record here.
    at: Position,
    /// The last sign of the leader, and when it was first seen.
    seen: Option<(Sign, u64)>,
    /// The time that this server has tried to lead in last.
    tried: Option<Epoch>,
    takeover_us: u64,
    /// Until when an offer is left to others.
    offers_from_us: u64,
}

/// What changes with every sign of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    epoch: Epoch,
    last: Lsn,
    beat: u64,
}

impl Sign {
    fn of(head: &Head) -> Self {
        Self {
            epoch: head.epoch,
            last: head.last.lsn,
            beat: head.beat,
        }
    }
}

/// The parts that a standby is made of.
pub struct StandbyParts {
    /// The log.
    pub log: Box<dyn ReplicatedLog>,
    /// The journal, which takes nothing from anybody else.
    pub journal: Arc<Journal>,
    /// The state that its records have led to.
    pub fold: Box<dyn Fold>,
    /// Tells how long the leader has given no sign.
    pub clock: Arc<dyn Clock>,
    /// Is told how it goes.
    pub status: Arc<ReplicationStatus>,
    /// The server's name for itself.
    pub name: String,
    /// The mark beside the journal.
    pub mark: Mark,
    /// The last record of the journal, which the log has.
    pub at: Position,
    /// Milliseconds without a sign after which it takes over.
    pub takeover_ms: u32,
    /// It has offered the leadership itself, just before: an offer is left to others for as long as that.
    pub has_offered: bool,
}

impl Standby {
    /// Creates a standby, which has not looked yet.
    #[must_use]
    pub fn new(parts: StandbyParts) -> Self {
        parts.status.set_role(Role::Standby);
        let takeover_us = u64::from(parts.takeover_ms) * 1000;
        let offers_from_us = match parts.has_offered {
            true => now_us(&*parts.clock) + takeover_us,
            false => 0,
        };
        parts.status.set_replicated(parts.at);
        Self {
            log: parts.log,
            identity: parts.mark.identity,
            journal: parts.journal,
            fold: parts.fold,
            clock: parts.clock,
            status: parts.status,
            name: parts.name,
            at: parts.at,
            seen: None,
            tried: None,
            takeover_us,
            offers_from_us,
        }
    }

    /// The last record here.
    #[must_use]
    pub fn at(&self) -> Position {
        self.at
    }

    /// Ends the following, and gives back the log, with which the server goes on as a leader.
    #[must_use]
    pub fn end(self) -> Box<dyn ReplicatedLog> {
        if !is_planted(Slip::KeepsFollowing) {
            self.fold.end();
        }
        self.log
    }

    /// Looks at the log once: takes what is new there, and the leadership where nobody has it. Returns the leadership once it has
    /// it and every record is here.
    ///
    /// # Errors
    /// See [`StandbyError`]; nothing is lost.
    pub fn turn(&mut self) -> Result<Result<Leadership, Turn>, StandbyError> {
        let asked_us = now_us(&*self.clock);
        let head = self.look()?;
        let seen_us = now_us(&*self.clock);
        self.status.heard(asked_us);
        self.status.set_leader(head.epoch, &head.holder);
        self.status.set_head(head.last.lsn);
        self.status.set_followed(head.followed);
        let silent_us = self.silence(&head, asked_us, seen_us);
        let until = match is_planted(Slip::TakesUnacknowledged) {
            true => head.last.lsn,
            false => head.acknowledged,
        };
        if until > self.at.lsn && self.catch_up(until)? {
            return Ok(Err(Turn::Moved));
        }
        let is_offered = head.holder.is_empty() && asked_us >= self.offers_from_us;
        // It was done, and the answer was lost; or the records could not be read behind it.
        let is_taken = self.tried == Some(head.epoch) && head.holder == self.name;
        if is_offered || is_taken || silent_us >= self.takeover_us {
            return self.take_over(&head).map(|taken| taken.ok_or(Turn::Idle));
        }
        Ok(Err(Turn::Idle))
    }

    fn look(&mut self) -> Result<Head, StandbyError> {
        let head = self.log.peek();
        if head.is_err() {
            // The leader may not reach the log either: its silence counts from when this server does.
            self.seen = None;
        }
        let head = head?.ok_or(StandbyError::Gone)?;
        match head.identity == self.identity {
            true => Ok(head),
            false => Err(StandbyError::MadeAnew {
                ours: self.identity,
                found: head.identity,
            }),
        }
    }

    /// Returns for how long the leader has given no sign for certain, in microseconds, by this server's own clock: from the moment in which a sign was there
    /// to the one in which this look was asked. The look itself may have taken long.
    fn silence(&mut self, head: &Head, asked_us: u64, seen_us: u64) -> u64 {
        let sign = Sign::of(head);
        match self.seen {
            Some((seen, since_us)) if seen == sign => asked_us.saturating_sub(since_us),
            _ => {
                self.seen = Some((sign, seen_us));
                0
            }
        }
    }

    fn take_over(&mut self, head: &Head) -> Result<Option<Leadership>, StandbyError> {
        self.check_not_lost(head)?;
        let asked_us = now_us(&*self.clock);
        self.tried = Some(Epoch(head.epoch.0 + 1));
        let Some(taken) = self.log.take(head, &self.name)? else {
            // Another one was faster, or the leader has come back.
            self.seen = None;
            return Ok(None);
        };
        tracing::warn!(
            epoch = taken.epoch.0,
            last = taken.last.lsn.0,
            "the leadership is taken over{}",
            match head.holder.is_empty() {
                true => ", which was offered".to_owned(),
                false => format!(": {} gives no sign", head.holder),
            }
        );
        self.status.set_leader(taken.epoch, &self.name);
        self.check_not_lost(&taken)?;
        if !is_planted(Slip::LeadsBehindLog) {
            while self.at.lsn < taken.last.lsn && self.catch_up(taken.last.lsn)? {}
            self.check_reached(&taken)?;
        }
        self.fold.check(self.at.lsn)?;
        self.status.count_takeover();
        Ok(Some(Leadership {
            epoch: taken.log_epoch(),
            at: self.at,
            asked_us,
        }))
    }

    /// Checks that the log has all that was acknowledged, as far as this server and the last leader knew.
    fn check_not_lost(&self, head: &Head) -> Result<(), StandbyError> {
        let acknowledged = head.acknowledged.max(self.at.lsn);
        match head.last.lsn < acknowledged {
            true => Err(StandbyError::Lost {
                log: head.last.lsn,
                here: acknowledged,
            }),
            false => Ok(()),
        }
    }

    fn check_reached(&self, taken: &Head) -> Result<(), StandbyError> {
        if self.at == taken.last {
            return Ok(());
        }
        Err(FrameError::Chain {
            named: taken.last,
            reached: self.at,
        }
        .into())
    }

    /// Takes frames that end at `until` or before it. Returns whether there were any.
    fn catch_up(&mut self, until: Lsn) -> Result<bool, StandbyError> {
        let frames = self
            .log
            .read(self.identity, self.at.lsn, limits::LOG_READ_BYTES)?;
        let before = self.at;
        for frame in &frames {
            if frame.last.lsn > until {
                break;
            }
            self.take_frame(frame)?;
        }
        Ok(self.at != before)
    }

    fn take_frame(&mut self, frame: &LogFrame) -> Result<(), StandbyError> {
        // The whole of it first: what is appended stays.
        frame.check(self.at)?;
        let (journal, fold) = (&self.journal, &mut self.fold);
        let mut bytes = 0;
        frame.visit::<StandbyError>(self.at, &mut |entry, at| {
            fold.apply(entry)?;
            let lsn = journal.append(entry.at, entry);
            assert_eq!(lsn, at.lsn, "nobody else appends");
            bytes += entry.bytes().len();
            if bytes >= PIECE_BYTES {
                bytes = 0;
                journal.wait(lsn)?;
            }
            Ok(())
        })?;
        // A batch of the journal never holds records of two frames, so that it can be cut off between any two.
        self.journal.wait(frame.last.lsn)?;
        self.at = frame.last;
        self.status.set_replicated(self.at);
        Ok(())
    }
}
