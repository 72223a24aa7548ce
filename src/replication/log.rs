//! The replicated log as the servers see it, whatever keeps it.

use super::position::{LogFrame, Position};
use crate::env::Entropy;
use crate::limits;
use crate::types::Lsn;

/// The number that a log was made with, drawn at random: one that was lost and made anew under the same name has another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity(u64);

impl LogIdentity {
    /// Draws the identity of a new log.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(entropy.bits_128() as u64)
    }

    /// Returns the number to store, which has a sign where databases want one.
    #[must_use]
    pub const fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// Returns the identity that was stored as `stored`.
    #[must_use]
    pub const fn from_stored(stored: i64) -> Self {
        Self(stored.cast_unsigned())
    }
}

impl std::fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::fmt::Debug for LogIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogIdentity({self})")
    }
}

/// The number of a leader's time: it rises by one with every takeover, so that what an earlier leader still sends is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The time of one leader in one log: what is asked in another one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEpoch {
    /// The log.
    pub log: LogIdentity,
    /// The time.
    pub epoch: Epoch,
}

/// What a leader says about itself whenever it changes the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderProgress {
    /// The last record that it knows to be acknowledged.
    pub acknowledged: Lsn,
    /// The last record that all databases have that it fills; 0 where that is not known, or it fills none.
    pub followed: Lsn,
}

/// What a log says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The identity of the log.
    pub identity: LogIdentity,
    /// The time of the leader.
    pub epoch: Epoch,
    /// The leader's name for itself: where it can be reached. Empty while leadership is offered.
    pub holder: String,
    /// The place that the log begins behind.
    pub base: Position,
    /// The last record.
    pub last: Position,
    /// The last record that the leader knew to be acknowledged when it wrote this.
    pub acknowledged: Lsn,
    /// The last record that all databases had which the leader fills when it last wrote this; 0 where that is not known, or it fills none.
    pub followed: Lsn,
    /// Changes at least with every sign of the leader.
    pub beat: u64,
}

impl Head {
    /// Returns the time of the leader in this log.
    #[must_use]
    pub fn log_epoch(&self) -> LogEpoch {
        LogEpoch {
            log: self.identity,
            epoch: self.epoch,
        }
    }
}

/// The result of an append that was not left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The frame is in the log, and acknowledged.
    Done,
    /// Nothing was changed: the log's head is not where the frame begins, or the time is another one's.
    NotThere,
}

/// A question to the log that has no trustworthy answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It is not known whether the log has done what it was asked. Only a barrier tells.
    #[error("{0}")]
    Unknown(String),
    /// What keeps the log has no room for more, and takes no changes before somebody makes some.
    #[error("{0}")]
    Full(String),
    /// The log is kept in a way that voids its promise.
    #[error("{0}")]
    Unsafe(String),
    /// The log is not one that this build can use, or no longer holds what was asked for.
    #[error("{0}")]
    Refused(String),
}

/// Returns the `frames` of a log, which begin with the one that holds the record behind `after`.
///
/// # Errors
/// The log no longer holds it.
pub(super) fn holding_next(frames: Vec<LogFrame>, after: Lsn) -> Result<Vec<LogFrame>, LogError> {
    match frames.first() {
        Some(first) if first.first > after.next() => Err(LogError::Refused(format!(
            "the log no longer holds record {}: this server is too far behind, and needs a backup of the leader's journal",
            after.next()
        ))),
        _ => Ok(frames),
    }
}

/// A log that outlives any one machine. Everything that it answers is acknowledged: durable on all the machines that the promise
/// rests on; an answer that might not be is [`LogError::Unknown`].
///
/// **Invariant:** the head moves only from the place that is named, in the time that is named. Whatever a connection that was
/// thought to be dead still delivers, no frame is in the log twice and none without the one before it.
pub trait ReplicatedLog: Send {
    /// Checks what keeps the log, and makes what is missing there before any log can be kept.
    ///
    /// # Errors
    /// There is no answer, or the promise would be void.
    fn prepare(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    /// Returns what the log says at the moment, which may be gone after a failover; `None` where there is no log of that name yet.
    ///
    /// # Errors
    /// The log does not answer.
    fn peek(&mut self) -> Result<Option<Head>, LogError>;

    /// Returns what [`ReplicatedLog::peek`] does, also where nothing has been prepared yet.
    ///
    /// # Errors
    /// The log does not answer.
    fn peek_unprepared(&mut self) -> Result<Option<Head>, LogError> {
        self.peek()
    }

    /// Returns what the log says, acknowledged; `None` where there is no log of that name yet.
    ///
    /// # Errors
    /// The log does not answer, or the answer might not last.
    fn read_head(&mut self) -> Result<Option<Head>, LogError>;

    /// Makes the log, which has this `identity` and begins behind `base`. Its leadership is offered. Does nothing where there is a log of that name
    /// already.
    ///
    /// # Errors
    /// It is not known whether it was made.
    fn create(&mut self, identity: LogIdentity, base: Position) -> Result<(), LogError>;

    /// Takes the leadership over from the leader that was seen in `seen`. Returns the new head, or `None` where that leader's time is over, or it
    /// has given another sign since.
    ///
    /// # Errors
    /// It is not known whether it was taken.
    fn take(&mut self, seen: &Head, holder: &str) -> Result<Option<Head>, LogError>;

    /// Appends `frame` behind `before`, in the time `epoch`, and notes the leader's `progress`.
    ///
    /// # Errors
    /// It is not known whether it was appended.
    fn append(
        &mut self,
        epoch: LogEpoch,
        before: Position,
        frame: &LogFrame,
        progress: LeaderProgress,
    ) -> Result<Appended, LogError>;

    /// Gives a sign with the leader's `progress`, and returns the last record, which is acknowledged with everything before it; `None`
    /// where the time `epoch` is over.
    ///
    /// # Errors
    /// There is no trustworthy answer.
    fn barrier(
        &mut self,
        epoch: LogEpoch,
        progress: LeaderProgress,
    ) -> Result<Option<Position>, LogError>;

    /// Offers the leadership of the time `epoch` to the first server that asks. Returns whether it did: `false` where that time is over.
    ///
    /// # Errors
    /// It is not known whether it was offered.
    fn offer(&mut self, epoch: LogEpoch) -> Result<bool, LogError>;

    /// Returns frames of the log `log` behind the record `after`, in order: the first is the one that holds the record after it. About `bytes_max`
    /// bytes, but at least one frame if there is one. The machine answers that the question before this one was answered by: of what it said to be
    /// acknowledged, another one may hold something else.
    ///
    /// # Errors
    /// The log does not answer, the connection was lost since the question before, or the log no longer holds the record after `after`.
    fn read(
        &mut self,
        log: LogIdentity,
        after: Lsn,
        bytes_max: usize,
    ) -> Result<Vec<LogFrame>, LogError>;

    /// Returns how many records up to the last one are kept for servers that are behind.
    fn records_kept(&self) -> u64 {
        limits::LOG_RECORDS_KEPT
    }

    /// Removes some frames of the log `log` whose records are all up to `through`, from the oldest on, and what earlier changes have left.
    ///
    /// # Errors
    /// It is not known how many were removed.
    fn trim(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError>;
}
