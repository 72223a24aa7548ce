//! One server's part in the replication, a turn at a time: it stands by, leads once its time has come, and offers its leadership at its end.
//!
//! It has no thread and never sleeps: its owner gives it turns, and does what each turn demands.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::complaints::Complaints;
use super::log::Epoch;
use super::mark_keeper::MarkKeeper;
use super::position::Position;
use super::replicator::{Deposed, Leadership, Replicator, Turn};
use super::standby::{Standby, StandbyError, StandbyParts};
use super::status::ReplicationStatus;
use crate::env::Clock;
use crate::journal::Journal;
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::types::Lsn;

/// The pause between two looks at a log where nothing happens, or that does not answer its leader.
const LOOK: Duration = Duration::from_millis(100);
/// The pause behind a failure of a standby.
const RETRY: Duration = Duration::from_millis(500);

/// The work of a participant's owner before the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: there may be more to be done.
    Turn,
    /// Waits for that long.
    Pause(Duration),
    /// Waits for that long at most, by [`Participant::await_batch`].
    AwaitBatch(Duration),
    /// Takes up the duties of the server that sells, then calls [`ReplicationStatus::lead`]. This server leads.
    TakeUpDuties,
    /// Stops the server as an operator does, which closes the journal, and starts it anew behind that: the leadership is to be handed over.
    HandOver,
    /// Ends the process at once and starts it anew: what is in memory may be what another server has decided otherwise.
    StartAnew(RestartCause),
    /// Nothing, and there are no more turns.
    End,
}

/// The reason why a server starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// Another server has taken over.
    Fenced,
    /// The journal has failed, or does not fit the log. The log lines say why.
    Fault,
}

/// A server's part in the replication.
pub struct Participant {
    standing: Standing,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    status: Arc<ReplicationStatus>,
    takeover_ms: u32,
    marks: MarkKeeper,
    /// What was logged while the log is not followed.
    complaints: Complaints,
    /// How often in a row the log did not fit a standby's journal.
    mismatches: u32,
}

enum Standing {
    Standby(Box<Standby>),
    Leader(Box<Replicator>),
    /// It has ended, or its process is about to.
    Over,
}

impl Participant {
    /// Creates the part of a server that has joined the log and stands by.
    #[must_use]
    pub fn new(parts: StandbyParts) -> Self {
        let (journal, clock) = (Arc::clone(&parts.journal), Arc::clone(&parts.clock));
        let status = Arc::clone(&parts.status);
        Self {
            marks: MarkKeeper::new(
                parts.mark.clone(),
                Arc::clone(&journal),
                Arc::clone(&clock),
                Arc::clone(&status),
            ),
            takeover_ms: parts.takeover_ms,
            standing: Standing::Standby(Box::new(Standby::new(parts))),
            journal,
            clock,
            status,
            complaints: Complaints::default(),
            mismatches: 0,
        }
    }

    /// Returns the time that this server leads in; `None` where it does not lead.
    #[must_use]
    pub fn leads(&self) -> Option<Epoch> {
        match &self.standing {
            Standing::Leader(replicator) => Some(replicator.epoch()),
            Standing::Standby(_) | Standing::Over => None,
        }
    }

    /// Returns the last record that this server knows to be in the log; `None` once its part has ended.
    #[must_use]
    pub fn at(&self) -> Option<Position> {
        match &self.standing {
            Standing::Standby(standby) => Some(standby.at()),
            Standing::Leader(replicator) => Some(replicator.at()),
            Standing::Over => None,
        }
    }

    /// Does what is due, and says what its owner does next. A leader tells standbys that its databases have the records up to `followed`. Its part ends once the journal is closed and all of it is in the log; a standby's whenever
    /// its owner gives it no turn any more.
    pub fn turn(&mut self, followed: Lsn) -> Demand {
        match mem::replace(&mut self.standing, Standing::Over) {
            Standing::Standby(standby) => self.stand_by(standby),
            Standing::Leader(replicator) => self.lead(replicator, followed),
            Standing::Over => Demand::End,
        }
    }

    /// Blocks the thread until a leader's batch waits for the log, or nothing will come any more: for at most `patience`.
    pub fn await_batch(&self, patience: Duration) {
        if let Standing::Leader(replicator) = &self.standing {
            replicator.outbox().wait(patience);
        }
    }

    fn stand_by(&mut self, mut standby: Box<Standby>) -> Demand {
        let done = match standby.turn() {
            Ok(Ok(leadership)) => return self.begin_to_lead(*standby, leadership),
            Ok(Err(done)) => done,
            Err(error)
                if error.may_pass()
                    || error.is_mismatch() && self.mismatches < limits::LOG_MISMATCHES_MAX =>
            {
                self.standing = Standing::Standby(standby);
                self.mismatches += u32::from(error.is_mismatch());
                return self.wait_for_log(&error);
            }
            Err(error) => {
                tracing::error!("{error}: starting again");
                return Demand::StartAnew(RestartCause::Fault);
            }
        };
        self.marks.advance(standby.at());
        self.standing = Standing::Standby(standby);
        if done == Turn::Moved {
            return Demand::Turn;
        }
        self.complaints.clear();
        self.mismatches = 0;
        Demand::Pause(LOOK)
    }

    fn wait_for_log(&mut self, error: &StandbyError) -> Demand {
        let (error, is_full) = (error.to_string(), error.is_log_full());
        self.status.failed(&error, is_full);
        if self.complaints.note(&error) {
            tracing::warn!("the replicated log is not followed: {error}");
        }
        Demand::Pause(RETRY)
    }

    fn begin_to_lead(&mut self, standby: Standby, leadership: Leadership) -> Demand {
        self.marks.write(standby.at());
        let log = standby.end();
        let replicator = Replicator::new(
            log,
            self.journal.replicate(),
            Arc::clone(&self.journal),
            Arc::clone(&self.clock),
            Arc::clone(&self.status),
            leadership,
            self.takeover_ms,
        );
        self.standing = Standing::Leader(Box::new(replicator));
        self.status.heard(leadership.asked_us);
        self.journal.hold_back(false);
        Demand::TakeUpDuties
    }

    fn lead(&mut self, mut replicator: Box<Replicator>, followed: Lsn) -> Demand {
        replicator.note_followed(followed);
        let done = match replicator.turn() {
            Ok(done) => done,
            Err(Deposed::Fenced) if is_planted(Slip::GoesOnFenced) => Turn::Unanswered,
            Err(deposed) => return stand_down(&deposed),
        };
        let mut demand = match done {
            Turn::Moved => {
                self.note(&mut replicator);
                Demand::Turn
            }
            Turn::Idle if replicator.outbox().is_over() => {
                self.offer(&mut replicator);
                return Demand::End;
            }
            Turn::Idle => Demand::AwaitBatch(self.patience()),
            Turn::Unanswered => Demand::Pause(LOOK),
        };
        if self.status.take_hand_over() {
            tracing::info!("the leadership is to be handed over");
            if is_planted(Slip::OffersAtOnce) {
                self.offer(&mut replicator);
            }
            demand = Demand::HandOver;
        }
        self.standing = Standing::Leader(replicator);
        demand
    }

    /// Notes now and then how far the log has everything, and removes from the log what nobody needs any more.
    fn note(&mut self, replicator: &mut Replicator) {
        if self.marks.advance(replicator.at()) {
            replicator.trim();
        }
    }

    fn offer(&mut self, replicator: &mut Replicator) {
        self.marks.write(replicator.at());
        match replicator.offer() {
            Ok(true) => tracing::info!("the leadership is offered"),
            Ok(false) => {
                tracing::warn!("the leadership is not offered: another server has taken it over")
            }
            Err(error) => tracing::warn!("the leadership could not be offered: {error}"),
        }
    }

    /// Returns for how long a leader may do nothing without being late with a sign.
    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.takeover_ms / limits::BEATS_PER_TAKEOVER / 4))
    }
}

/// Ends this process's part at once: another one may have sold what is in memory here.
fn stand_down(deposed: &Deposed) -> Demand {
    let cause = match deposed {
        Deposed::Fenced => {
            tracing::warn!("{deposed}: starting again as a standby");
            RestartCause::Fenced
        }
        _ => {
            tracing::error!("{deposed}: starting again");
            RestartCause::Fault
        }
    };
    Demand::StartAnew(cause)
}
