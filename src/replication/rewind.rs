//! The start of a replicated server: finds where its journal and the log agree, and cuts off what nobody was answered from.

use std::io::ErrorKind;
use std::path::Path;

use super::log::{Head, LogError, LogIdentity, ReplicatedLog};
use super::mark::Mark;
use super::position::{Chain, FrameError, LogFrame, Position};
use crate::env::{Disk, Entropy};
use crate::journal::{self, JournalError, snapshot};
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::types::Lsn;

/// The reason why a server cannot join a log.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The log does not answer as it should; it may later.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The journal cannot be read or cut.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal has records, and was never replicated.
    #[error(
        "the journal holds {here} records and was never replicated, and the replicated log \"{log}\" begins behind record {base}: nothing of it \
         is cut off or sent. Start with an empty journal.dir or with a backup of the leader's; or choose another replication.log"
    )]
    NeverReplicated {
        /// The log.
        log: String,
        /// The records of the journal.
        here: Lsn,
        /// The record that the log begins behind.
        base: Lsn,
    },
    /// The journal was replicated in another log.
    #[error(
        "the journal is that of the replicated log \"{ours}\", and replication.log is \"{configured}\". Set replication.log, or move \
         journal.dir away"
    )]
    OtherLog {
        /// The log that the journal was replicated in.
        ours: String,
        /// The log that is configured.
        configured: String,
    },
    /// The log lacks what was acknowledged.
    #[error(
        "the replicated log \"{log}\" ends with record {head} or is another one there, but record {known} was acknowledged: the log has \
         lost records, or was made anew. Nothing was changed. A leader that still runs gives the log what it lacks: keep it running. Without one, and if this journal is \
         to be the truth from now on, choose another replication.log for all servers"
    )]
    LogLost {
        /// The log.
        log: String,
        /// The last record of the log.
        head: Lsn,
        /// The record that was acknowledged.
        known: Lsn,
    },
    /// The log is another one of the same name.
    #[error(
        "the replicated log \"{log}\" is not the one that this journal is replicated in: its identity is {found}, and that of this journal's log {ours}. \
         The log was lost and made anew, and may lack what was acknowledged to this server. Nothing was changed. If this journal is to be the truth from now on, choose \
         another replication.log for all servers; if that log is, start with an empty journal.dir or with a backup of the leader's"
    )]
    MadeAnew {
        /// The name of both.
        log: String,
        /// The identity of the log that the journal is replicated in.
        ours: LogIdentity,
        /// The identity of the log that is there.
        found: LogIdentity,
    },
}

impl JoinError {
    /// Returns whether a later attempt may succeed by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Log(LogError::Unknown(_) | LogError::Full(_)))
    }
}

/// The place of a server's journal in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The mark beside the journal.
    pub mark: Mark,
    /// The last record of the journal, which the log has.
    pub at: Position,
    /// The records that were cut off behind it.
    pub cut: u64,
}

/// Brings the journal in `dir`, which nobody writes to, to a place that the log `name` has, and notes that beside it. Where there is no log of that name, makes it
/// behind the journal's end, with an identity from `entropy`.
///
/// # Errors
/// See [`JoinError`].
pub fn join(
    log: &mut dyn ReplicatedLog,
    name: &str,
    disk: &dyn Disk,
    dir: &Path,
    entropy: &dyn Entropy,
) -> Result<Joined, JoinError> {
    let mut mark = Mark::read(disk, dir)?;
    if let Some(mark) = &mut mark {
        finish_cut(mark, disk, dir)?;
        // Once: what comes behind that place from now on stays.
        mark.cut = None;
    }
    let mark = used(mark, disk, dir)?;
    let head = match log.read_head()? {
        Some(head) => head,
        None => {
            check_not_gone(name, mark.as_ref())?;
            log.create(LogIdentity::draw(entropy), end_of(disk, dir)?)?;
            // Perhaps another server's.
            let made = log.read_head()?;
            made.ok_or_else(|| LogError::Unknown("the log that was made is not there".into()))?
        }
    };
    let mark = match mark {
        Some(mark) if mark.log == name => mark,
        earlier => first_mark(name, &head, earlier, disk, dir)?,
    };
    let agreed = agree(log, &mark, &head, disk, dir)?;
    let (local, at) = (agreed.local, agreed.at);
    if local > at.lsn && !is_planted(Slip::KeepsUnreplicatedTail) {
        let cut = Some(at.lsn);
        let cutting = Mark {
            cut,
            ..mark.clone()
        };
        cutting.write(disk, dir)?;
        finish_cut(&cutting, disk, dir)?;
    }
    // The place stays that was noted before: what is found behind it may not be certain to be on this disk, and is noted once it is.
    mark.write(disk, dir)?;
    Ok(Joined {
        mark,
        at,
        cut: local.0 - at.lsn.0,
    })
}

/// Checks, as far as the `head` of the log `name` tells, that the journal in `dir`, which nobody writes to, can join it. Changes nothing. There
/// may be no such directory yet.
///
/// # Errors
/// See [`JoinError`].
pub fn check_fit(
    name: &str,
    head: Option<&Head>,
    disk: &dyn Disk,
    dir: &Path,
) -> Result<(), JoinError> {
    let mark = used(Mark::read(disk, dir)?, disk, dir)?;
    let Some(head) = head else {
        return check_not_gone(name, mark.as_ref());
    };
    match mark {
        Some(mark) if mark.log == name => check_not_lost(&mark, head),
        earlier => first_mark(name, head, earlier, disk, dir).map(drop),
    }
}

/// Returns `mark` unless the journal in `dir` has never held anything: whatever log it was marked for, it can join any.
fn used(mark: Option<Mark>, disk: &dyn Disk, dir: &Path) -> Result<Option<Mark>, JournalError> {
    let Some(mark) = mark else { return Ok(None) };
    let is_unused = mark.at == Position::START && end_of(disk, dir)? == Position::START;
    Ok((!is_unused).then_some(mark))
}

/// Checks that the log `name`, which is not there, has never held anything of the journal with this `mark`. Made anew it would begin behind the
/// journal's end: it would look like one that fits the next journal that comes, and what is behind this one's mark would be cut off.
fn check_not_gone(name: &str, mark: Option<&Mark>) -> Result<(), JoinError> {
    match mark.filter(|mark| mark.log == name) {
        Some(mark) => Err(lost(mark, Lsn::ZERO)),
        None => Ok(()),
    }
}

fn check_not_lost(mark: &Mark, head: &Head) -> Result<(), JoinError> {
    if head.identity != mark.identity {
        return Err(JoinError::MadeAnew {
            log: mark.log.clone(),
            ours: mark.identity,
            found: head.identity,
        });
    }
    if head.last.lsn < mark.at.lsn || head.last.lsn == mark.at.lsn && head.last != mark.at {
        return Err(lost(mark, head.last.lsn));
    }
    // A leader that still ran has said so; what this journal has of it must not be cut off.
    match head.last.lsn < head.acknowledged {
        true => Err(JoinError::LogLost {
            log: mark.log.clone(),
            head: head.last.lsn,
            known: head.acknowledged,
        }),
        false => Ok(()),
    }
}

fn lost(mark: &Mark, head: Lsn) -> JoinError {
    JoinError::LogLost {
        log: mark.log.clone(),
        head,
        known: mark.at.lsn,
    }
}

fn finish_cut(mark: &Mark, disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    match mark.cut {
        Some(last) => journal::cut_behind(disk, dir, last),
        None => Ok(()),
    }
}

/// Returns the place of the journal's end as a log may begin behind it. Records that are the last ones of two journals are the same only where
/// everything before them is, because the time of the decision is part of them.
fn end_of(disk: &dyn Disk, dir: &Path) -> Result<Position, JournalError> {
    let after = match snapshot::newest(disk, dir) {
        Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(Position::START);
        }
        newest => newest?.unwrap_or(Lsn::ZERO),
    };
    let mut end = Position {
        lsn: after,
        chain: Chain::START,
    };
    journal::replay(disk, dir, after, None, &mut |entry| {
        end = Position {
            lsn: entry.lsn,
            chain: Chain::START.then(&entry),
        };
        Ok(())
    })?;
    Ok(end)
}

/// Returns the mark of a journal that joins a log for the first time: it must end exactly where the log begins.
fn first_mark(
    name: &str,
    head: &Head,
    earlier: Option<Mark>,
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Mark, JoinError> {
    let end = end_of(disk, dir)?;
    if end == head.base {
        return Ok(Mark {
            log: name.to_owned(),
            identity: head.identity,
            since: end.lsn,
            at: end,
            cut: None,
        });
    }
    Err(match earlier {
        Some(earlier) => JoinError::OtherLog {
            ours: earlier.log,
            configured: name.to_owned(),
        },
        None => JoinError::NeverReplicated {
            log: name.to_owned(),
            here: end.lsn,
            base: head.base.lsn,
        },
    })
}

struct Agreed {
    /// The last record that both have.
    at: Position,
    /// The last record of the journal.
    local: Lsn,
}

/// Finds the last place that the journal and the log have in common, from the mark on.
fn agree(
    log: &mut dyn ReplicatedLog,
    mark: &Mark,
    head: &Head,
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Agreed, JoinError> {
    check_not_lost(mark, head)?;
    let mut places = Vec::new();
    let end = walk(disk, dir, mark.at, &mut |place| places.push(place))?;
    let place_at = |lsn: Lsn| match lsn.0.checked_sub(mark.at.lsn.0) {
        Some(0) => Some(mark.at),
        Some(index) => places.get(index as usize - 1).copied(),
        None => None,
    };
    let mut at = mark.at;
    'log: while at.lsn < head.last.lsn {
        let frames = log.read(head.identity, at.lsn, limits::LOG_READ_BYTES)?;
        let before = at;
        // What came behind the head since it was read may not be acknowledged.
        let frames = frames
            .iter()
            .filter(|frame| frame.last.lsn <= head.last.lsn);
        for frame in frames {
            // That it leads on from here proves that everything before is the same, too.
            let common = common_part(frame, at, &place_at);
            at = common.map_err(|_| lost(mark, head.last.lsn))?;
            if at != frame.last || at.lsn >= end.lsn {
                break 'log;
            }
        }
        if at == before {
            break;
        }
    }
    Ok(Agreed { at, local: end.lsn })
}

/// Returns the last place of `frame` that the journal has, too, with `at` for one before it that both have. Record by record: where the log was given once
/// more what it had lost, its frames may end at other records than those that this journal was written from.
///
/// # Errors
/// The frame does not lead on from `at`.
fn common_part(
    frame: &LogFrame,
    at: Position,
    place_at: &impl Fn(Lsn) -> Option<Position>,
) -> Result<Position, FrameError> {
    let mut common = at;
    let mut differs = false;
    frame.visit::<FrameError>(at, &mut |_, place| {
        differs |= place_at(place.lsn) != Some(place);
        if !differs {
            common = place;
        }
        Ok(())
    })?;
    Ok(common)
}

/// Hands the place of each record of the journal behind `from` to `visit`. Returns the last one.
fn walk(
    disk: &dyn Disk,
    dir: &Path,
    from: Position,
    visit: &mut dyn FnMut(Position),
) -> Result<Position, JournalError> {
    let mut at = from;
    journal::replay(disk, dir, from.lsn, None, &mut |entry| {
        at = at.then(&entry);
        visit(at);
        Ok(())
    })?;
    Ok(at)
}
