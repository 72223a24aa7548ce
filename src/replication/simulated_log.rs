//! A replicated log in memory, with what goes wrong in a real one: answers that are lost, commits that are not replicated yet, statements that arrive late,
//! failovers that lose what was not acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::log::{
    Appended, Epoch, Head, LeaderProgress, LogEpoch, LogError, LogIdentity, ReplicatedLog,
    holding_next,
};
use super::position::{LogFrame, Position};
use crate::planted::{Slip, is_planted};
use crate::types::Lsn;

/// What becomes of one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogOutcome {
    /// It is done, on all machines, and answered.
    #[default]
    Answered,
    /// It never arrives.
    Lost,
    /// It is done on all machines, and its answer is lost.
    AnswerLost,
    /// It is done on the first machine alone, and its answer is lost: a failover takes it back.
    Unreplicated,
    /// It arrives later, when nobody waits for it any more.
    Late,
}

#[derive(Clone, Default)]
struct Tables {
    head: Option<Head>,
    frames: Vec<Arc<LogFrame>>,
}

#[derive(Clone)]
enum Change {
    Create(LogIdentity, Position),
    /// In the time, from the leader whose last sign was this one, by the server of this name.
    Take(LogEpoch, u64, String),
    Append(LogEpoch, Position, Arc<LogFrame>, LeaderProgress),
    Beat(LogEpoch, LeaderProgress),
    Offer(LogEpoch),
    Touch,
    Trim(LogIdentity, Lsn),
}

type Decide = Box<dyn FnMut() -> LogOutcome + Send>;

struct Store {
    /// What who asks the first machine sees.
    first: Tables,
    /// The tables that are on all machines.
    all: Tables,
    late: Vec<Change>,
    decide: Decide,
}

/// The log, as one of its servers reaches it. Clones reach it by the same way.
#[derive(Clone)]
pub struct SimulatedLog {
    store: Arc<Mutex<Store>>,
    /// The way to it is cut.
    is_cut: Arc<AtomicBool>,
}

impl Default for SimulatedLog {
    fn default() -> Self {
        Self::new(|| LogOutcome::Answered)
    }
}

impl SimulatedLog {
    /// Creates an empty log, in which `decide` says what becomes of each question.
    #[must_use]
    pub fn new(decide: impl FnMut() -> LogOutcome + Send + 'static) -> Self {
        let store = Store {
            first: Tables::default(),
            all: Tables::default(),
            late: Vec::new(),
            decide: Box::new(decide),
        };
        Self {
            store: Arc::new(Mutex::new(store)),
            is_cut: Arc::default(),
        }
    }

    /// Returns another way to the same log, which is cut by itself.
    #[must_use]
    pub fn another_way(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            is_cut: Arc::default(),
        }
    }

    /// Sets who decides what becomes of each question.
    pub fn decide_by(&self, decide: impl FnMut() -> LogOutcome + Send + 'static) {
        self.store.lock().decide = Box::new(decide);
    }

    /// Sets whether the log is reached by this way.
    pub fn set_reachable(&self, is_reachable: bool) {
        self.is_cut.store(!is_reachable, Ordering::SeqCst);
    }

    /// Returns the store, if it is reached by this way.
    fn reach(&self) -> Result<MutexGuard<'_, Store>, LogError> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(unknown("nobody answers")),
            false => Ok(self.store.lock()),
        }
    }

    /// The first machine dies, and another one takes its place: what was not on all machines is gone.
    pub fn fail_over(&self) {
        let mut store = self.store.lock();
        store.first = store.all.clone();
    }

    /// The log is lost, and what is on all machines of `other` is in its place.
    pub fn replace_by(&self, other: &Self) {
        let tables = other.store.lock().all.clone();
        let mut store = self.store.lock();
        (store.first, store.all) = (tables.clone(), tables);
    }

    /// Brings everything on the first machine to all others.
    pub fn replicate(&self) {
        let mut store = self.store.lock();
        store.all = store.first.clone();
    }

    /// Lets everything arrive that was late.
    pub fn deliver_late(&self) {
        let mut store = self.store.lock();
        for change in std::mem::take(&mut store.late) {
            store.first.change(&change);
        }
    }

    /// The log comes back as it was when `earlier` was its last record, whatever was acknowledged since.
    pub fn restore_to(&self, earlier: Lsn) {
        let mut store = self.store.lock();
        let frames = &mut store.first.frames;
        frames.retain(|frame| frame.last.lsn <= earlier);
        let last = frames.last().map(|frame| frame.last);
        if let Some(head) = &mut store.first.head {
            head.last = last.unwrap_or(head.base);
            head.acknowledged = head.acknowledged.min(head.last.lsn);
        }
        store.all = store.first.clone();
    }

    /// Returns the head that is on all machines.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.store.lock().all.head.clone()
    }

    /// Returns the frames that are on all machines and end behind the record `after`.
    #[must_use]
    pub fn frames_behind(&self, after: Lsn) -> Vec<Arc<LogFrame>> {
        let frames = &self.store.lock().all.frames;
        let begin = frames.partition_point(|frame| frame.last.lsn <= after);
        frames[begin..].to_vec()
    }

    /// Asks for `change`; returns the head afterwards, and whether it changed anything.
    fn ask(&self, change: &Change) -> Result<(Option<Head>, bool), LogError> {
        let mut store = self.reach()?;
        match (store.decide)() {
            LogOutcome::Lost => Err(unknown("the connection was lost")),
            LogOutcome::Late => {
                store.late.push(change.clone());
                Err(unknown("no answer in time"))
            }
            LogOutcome::Unreplicated => {
                store.first.change(change);
                Err(unknown("the wait was cancelled"))
            }
            outcome => {
                let changed = store.first.change(change);
                store.all = store.first.clone();
                match outcome {
                    LogOutcome::Answered => Ok((store.first.head.clone(), changed)),
                    _ => Err(unknown("the answer was lost")),
                }
            }
        }
    }
}

impl Head {
    fn beat(&mut self, progress: LeaderProgress) {
        self.acknowledged = progress.acknowledged;
        self.followed = progress.followed;
        self.beat += 1;
    }
}

fn unknown(what: &str) -> LogError {
    LogError::Unknown(what.to_owned())
}

impl Tables {
    /// Changes the head if it is in `epoch` and `change` wants to.
    fn change_head(&mut self, epoch: LogEpoch, change: impl FnOnce(&mut Head) -> bool) -> bool {
        let is_now = |head: &&mut Head| head.log_epoch() == epoch || is_planted(Slip::IgnoresEpoch);
        let head = self.head.as_mut().filter(is_now);
        head.is_some_and(change)
    }

    fn change(&mut self, change: &Change) -> bool {
        match change {
            Change::Create(identity, base) => self.create(*identity, *base),
            Change::Take(seen, beat, holder) => self.change_head(*seen, |head| {
                let is_silent = head.beat == *beat || is_planted(Slip::IgnoresEpoch);
                if is_silent {
                    (head.epoch, head.holder) = (Epoch(seen.epoch.0 + 1), holder.clone());
                    head.beat += 1;
                }
                is_silent
            }),
            Change::Append(epoch, before, frame, progress) => {
                let moved = self.change_head(*epoch, |head| {
                    let fits = head.last == *before;
                    if fits {
                        head.last = frame.last;
                        head.beat(*progress);
                    }
                    fits
                });
                if moved {
                    self.frames.push(Arc::clone(frame));
                }
                moved
            }
            Change::Beat(epoch, progress) => self.change_head(*epoch, |head| {
                head.beat(*progress);
                true
            }),
            Change::Offer(epoch) => self.change_head(*epoch, |head| {
                head.holder.clear();
                head.acknowledged = head.last.lsn;
                head.beat += 1;
                true
            }),
            Change::Touch => self.head.is_some(),
            Change::Trim(log, through) => {
                let is_there = self.is(*log);
                self.frames
                    .retain(|frame| !is_there || frame.last.lsn > *through);
                is_there
            }
        }
    }

    fn is(&self, log: LogIdentity) -> bool {
        self.head.as_ref().is_some_and(|head| head.identity == log)
    }

    fn create(&mut self, identity: LogIdentity, base: Position) -> bool {
        let is_new = self.head.is_none();
        self.head.get_or_insert_with(|| Head {
            identity,
            epoch: Epoch(1),
            holder: String::new(),
            base,
            last: base,
            acknowledged: base.lsn,
            followed: Lsn::ZERO,
            beat: 0,
        });
        is_new
    }
}

impl ReplicatedLog for SimulatedLog {
    fn peek(&mut self) -> Result<Option<Head>, LogError> {
        Ok(self.reach()?.first.head.clone())
    }

    fn read_head(&mut self) -> Result<Option<Head>, LogError> {
        Ok(self.ask(&Change::Touch)?.0)
    }

    fn create(&mut self, identity: LogIdentity, base: Position) -> Result<(), LogError> {
        self.ask(&Change::Create(identity, base)).map(drop)
    }

    fn take(&mut self, seen: &Head, holder: &str) -> Result<Option<Head>, LogError> {
        let (head, taken) = self.ask(&Change::Take(
            seen.log_epoch(),
            seen.beat,
            holder.to_owned(),
        ))?;
        Ok(head.filter(|_| taken))
    }

    fn append(
        &mut self,
        epoch: LogEpoch,
        before: Position,
        frame: &LogFrame,
        progress: LeaderProgress,
    ) -> Result<Appended, LogError> {
        let frame = Arc::new(frame.clone());
        let change = Change::Append(epoch, before, frame, progress);
        match self.ask(&change)?.1 {
            true => Ok(Appended::Done),
            false => Ok(Appended::NotThere),
        }
    }

    fn barrier(
        &mut self,
        epoch: LogEpoch,
        progress: LeaderProgress,
    ) -> Result<Option<Position>, LogError> {
        let (head, is_ours) = self.ask(&Change::Beat(epoch, progress))?;
        Ok(head.filter(|_| is_ours).map(|head| head.last))
    }

    fn offer(&mut self, epoch: LogEpoch) -> Result<bool, LogError> {
        Ok(self.ask(&Change::Offer(epoch))?.1)
    }

    fn read(
        &mut self,
        log: LogIdentity,
        after: Lsn,
        bytes_max: usize,
    ) -> Result<Vec<LogFrame>, LogError> {
        let store = self.reach()?;
        if !store.first.is(log) {
            return Ok(Vec::new());
        }
        let behind = store
            .first
            .frames
            .iter()
            .filter(|frame| frame.last.lsn > after);
        let mut bytes = 0;
        let taken = behind.take_while(|frame| {
            let has_room = bytes == 0 || bytes + frame.records.len() <= bytes_max;
            bytes += frame.records.len();
            has_room
        });
        let frames: Vec<LogFrame> = taken.map(|frame| LogFrame::clone(frame)).collect();
        holding_next(frames, after)
    }

    fn trim(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError> {
        self.ask(&Change::Trim(log, through)).map(drop)
    }
}
