//! This server's part in the replication: it joins the log, stands by, and sells when its turn has come.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::configured_log::open_log;
use super::duties::{Duties, DutyParts, FollowedRecord};
use super::followers::Followers;
use super::needed_records::NeededRecords;
use super::stop::Ended;
use super::{AppError, EXIT_JOURNAL_FAILED, logging};
use crate::config::{Config, ReplicationConfig};
use crate::env::{Clock, Disk, OsEntropy};
use crate::journal::{Journal, JournalError, Outbox};
use crate::limits;
use crate::record::envelope::Entry;
use crate::replication::{
    Deposed, Fold, JoinError, Joined, Leadership, LogError, Mark, Position, ReplicatedLog,
    ReplicationStatus, Replicator, Role, Standby, StandbyError, StandbyParts, Turn, join,
};
use crate::runtime::Shutdown;
use crate::sale::FollowingState;
use crate::schedule::ClockWatch;
use crate::types::Lsn;

/// The pause between two attempts to reach the log.
const RETRY: Duration = Duration::from_millis(500);
/// The variable that tells a process that the one before it has handed its leadership over.
const HANDED_OVER: &str = "FLASHSALE_HANDED_OVER";
/// How often a standby asks again for what does not fit its journal before it starts anew: a pooler before the database may have shown it two machines as one.
const MISMATCHES_MAX: u32 = 3;
/// The pause between two looks of a standby.
const LOOK: Duration = Duration::from_millis(100);

/// A log that this server has joined, and its place there.
pub(super) struct Membership {
    log: Box<dyn ReplicatedLog>,
    joined: Joined,
    name: String,
    settings: ReplicationConfig,
    status: Arc<ReplicationStatus>,
    needed: NeededRecords,
}

impl Membership {
    /// Joins the log that is configured with the journal in `dir`, which nobody writes to. Waits for as long as the log does not answer.
    ///
    /// # Errors
    /// The journal does not fit the log, or the log is kept in a way that voids its promise.
    pub(super) fn join(
        config: &Config,
        settings: &ReplicationConfig,
        disk: &dyn Disk,
        dir: &Path,
    ) -> Result<Self, AppError> {
        let address = settings.hosts_text();
        let mut log = open_log(settings)?;
        let name = name_of(config);
        let mut said = String::new();
        let joined = loop {
            let joined = log
                .prepare()
                .map_err(JoinError::from)
                .and_then(|()| join(&mut *log, &settings.log, disk, dir, &OsEntropy));
            match joined {
                Err(JoinError::Log(LogError::Unknown(why) | LogError::Full(why))) => {
                    if said != why {
                        tracing::warn!(address, "waiting for the replicated log: {address}: {why}");
                        said = why;
                    }
                    thread::sleep(RETRY);
                }
                joined => break joined?,
            }
        };
        if joined.cut > 0 {
            tracing::warn!(
                records = joined.cut,
                last = joined.mark.at.lsn.0,
                "records that the replicated log does not have are cut off; nobody was answered from them"
            );
        }
        tracing::info!(
            log = settings.log,
            last = joined.mark.at.lsn.0,
            "the replicated log is joined"
        );
        let status = Arc::<ReplicationStatus>::default();
        let has_sinks = config.database.is_some() || config.redis.is_some();
        Ok(Self {
            log,
            name,
            settings: settings.clone(),
            needed: NeededRecords::new(joined.mark.at.lsn, &status, has_sinks),
            joined,
            status,
        })
    }

    /// The figures.
    pub(super) fn status(&self) -> &Arc<ReplicationStatus> {
        &self.status
    }

    /// The records that are kept.
    pub(super) fn needed(&self) -> NeededRecords {
        self.needed.clone()
    }
}

/// The name that this server has for itself.
fn name_of(config: &Config) -> String {
    let own = || {
        let machine = rustix::system::uname();
        let machine = machine.nodename().to_string_lossy();
        format!("{machine}:{}", config.server.port)
    };
    config.server.advertise.clone().unwrap_or_else(own)
}

/// The state of an engine that follows the log.
struct EngineFold(FollowingState);

impl Fold for EngineFold {
    fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.0.apply(entry)
    }

    fn check(&self, lsn: Lsn) -> Result<(), JournalError> {
        self.0.check(lsn)
    }

    fn end(self: Box<Self>) {
        self.0.end();
    }
}

/// The thread that follows the log, and brings records into it once this server leads.
pub(super) struct ReplicationThread {
    turn: Arc<LeadersTurn>,
    thread: JoinHandle<()>,
}

/// The thread's state that is shared with who ends it.
#[derive(Default)]
struct LeadersTurn {
    is_stopped: AtomicBool,
    is_handed_over: AtomicBool,
    /// Held while a standby takes from the log. Whoever closes the journal has had it after `is_stopped` was set: a closed journal
    /// would never write what is appended then.
    following: Mutex<()>,
    /// The thread that takes up the leader's duties, once this server leads.
    duties: Mutex<Option<JoinHandle<Option<Duties>>>>,
}

impl ReplicationThread {
    /// Starts the thread. Once this server leads, it takes up `duties`, too.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        membership: Membership,
        following: FollowingState,
        duties: DutyParts,
        shutdown: &Shutdown,
    ) -> std::io::Result<Self> {
        let turn = Arc::<LeadersTurn>::default();
        let part = Participant {
            journal: Arc::clone(duties.engine.journal()),
            clock: Arc::clone(&duties.clock),
            takeover_ms: membership.settings.takeover_ms,
            mark: membership.joined.mark,
            status: Arc::clone(&membership.status),
            needed: membership.needed,
            followed: duties.followed.clone(),
            turn: Arc::clone(&turn),
            shutdown: shutdown.clone(),
        };
        let standby = Standby::new(StandbyParts {
            log: membership.log,
            identity: part.mark.identity,
            journal: Arc::clone(&part.journal),
            fold: Box::new(EngineFold(following)),
            clock: Arc::clone(&part.clock),
            status: Arc::clone(&part.status),
            name: membership.name,
            at: part.mark.at,
            takeover_ms: part.takeover_ms,
            has_offered: std::env::var_os(HANDED_OVER).is_some(),
        });
        let thread = Builder::new()
            .name("replicate".into())
            .spawn(move || part.run(standby, duties))?;
        Ok(Self { turn, thread })
    }

    /// Ends a standby's following, or the leader's schedule. Returns the followers, which go on until the journal is closed.
    pub(super) fn end_duties(&self) -> Option<Followers> {
        let taken_up = {
            let mut duties = self.turn.duties.lock();
            // Under the lock, so that no duties are taken up behind it.
            self.turn.is_stopped.store(true, Ordering::Release);
            duties.take()
        };
        drop(self.turn.following.lock());
        let duties = taken_up?.join().ok().flatten();
        duties.map(Duties::end_schedule)
    }

    /// Ends the thread: a standby at once, a leader when all that was appended is in the log, and the leadership was offered. The journal must be
    /// closed.
    pub(super) fn end(self) -> Ended {
        let _ = self.thread.join();
        match self.turn.is_handed_over.load(Ordering::Acquire) {
            true => Ended::HandedOver,
            false => Ended::Stopped,
        }
    }
}

/// A leadership, and what is to be brought into the log in it.
type Taken = (Leadership, Arc<Outbox>);

struct Participant {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    takeover_ms: u32,
    /// The mark with which this server has joined.
    mark: Mark,
    status: Arc<ReplicationStatus>,
    needed: NeededRecords,
    followed: FollowedRecord,
    turn: Arc<LeadersTurn>,
    shutdown: Shutdown,
}

impl Participant {
    fn run(self, mut standby: Standby, duties: DutyParts) {
        let (mut said, mut mismatches) = (String::new(), 0);
        tracing::info!("standing by");
        let mut notes = Notes::new(&self);
        let mut watch = ClockWatch::new(Arc::clone(&duties.engine));
        loop {
            watch.read();
            let Some(followed) = self.follow(&mut standby) else {
                return;
            };
            match followed {
                Ok(Ok(taken)) => {
                    notes.write(standby.at());
                    let mark = notes.mark;
                    return Self { mark, ..self }.lead(standby, taken, duties);
                }
                Ok(Err(Turn::Moved)) => {
                    notes.advance(standby.at());
                }
                Ok(Err(_)) => {
                    notes.advance(standby.at());
                    said.clear();
                    mismatches = 0;
                    thread::sleep(LOOK);
                }
                Err(error)
                    if error.may_pass() || error.is_mismatch() && mismatches < MISMATCHES_MAX =>
                {
                    mismatches += u32::from(error.is_mismatch());
                    let (error, is_full) = (error.to_string(), error.is_log_full());
                    self.status.failed(&error, is_full);
                    if said != error {
                        tracing::warn!("the replicated log is not followed: {error}");
                        said = error;
                    }
                    thread::sleep(RETRY);
                }
                Err(error) => {
                    tracing::error!("{error}: starting again");
                    // It may come to the same end again, and nobody waits for it.
                    thread::sleep(RETRY);
                    restart();
                }
            }
        }
    }

    /// Lets the standby look once. Where it has taken the leadership, the journal is replicated from there. `None` once this server is to stop.
    fn follow(&self, standby: &mut Standby) -> Option<Result<Result<Taken, Turn>, StandbyError>> {
        let _following = self.turn.following.lock();
        if self.turn.is_stopped.load(Ordering::Acquire) {
            return None;
        }
        let taken = |leadership| (leadership, self.journal.replicate());
        Some(standby.turn().map(|looked| looked.map(taken)))
    }

    fn lead(self, standby: Standby, (leadership, outbox): Taken, duties: DutyParts) {
        let log = standby.end();
        let mut replicator = Replicator::new(
            log,
            Arc::clone(&outbox),
            Arc::clone(&self.journal),
            Arc::clone(&self.clock),
            Arc::clone(&self.status),
            leadership,
            self.takeover_ms,
        );
        self.status.heard(leadership.asked_us);
        self.journal.hold_back(false);
        self.take_up(duties);
        let patience =
            Duration::from_millis(u64::from(self.takeover_ms / limits::BEATS_PER_TAKEOVER / 4));
        let mut notes = Notes::new(&self);
        loop {
            replicator.note_followed(self.needed.told(self.followed.get()));
            match replicator.turn() {
                Ok(Turn::Moved) => {
                    if notes.advance(replicator.at()) {
                        replicator.trim();
                    }
                }
                Ok(Turn::Idle) => {
                    if !outbox.wait(patience) {
                        break;
                    }
                }
                Ok(Turn::Unanswered) => thread::sleep(LOOK),
                Err(deposed) => self.stand_down(&deposed),
            }
            if self.status.take_hand_over() {
                tracing::info!("the leadership is to be handed over");
                self.turn.is_handed_over.store(true, Ordering::Release);
                self.shutdown.begin();
            }
        }
        notes.write(replicator.at());
        match replicator.offer() {
            Ok(()) => tracing::info!("the leadership is offered"),
            Err(error) => tracing::warn!("the leadership could not be offered: {error}"),
        }
    }

    /// Takes up the leader's duties, on another thread: what they record waits for this one.
    fn take_up(&self, duties: DutyParts) {
        let mut taken_up = self.turn.duties.lock();
        if self.turn.is_stopped.load(Ordering::Acquire) {
            return;
        }
        let status = Arc::clone(&self.status);
        let begin = move || {
            let duties = duties.take_up();
            status.set_role(Role::Leader);
            tracing::info!("this server leads and sells");
            duties
        };
        match Builder::new().name("lead".into()).spawn(begin) {
            Ok(begun) => *taken_up = Some(begun),
            Err(error) => {
                tracing::error!("this server cannot lead: {error}");
                restart();
            }
        }
    }

    /// Ends this process's part at once: another one may have sold what is in memory here.
    fn stand_down(&self, deposed: &Deposed) -> ! {
        match deposed {
            Deposed::Fenced => tracing::warn!("{deposed}: starting again as a standby"),
            _ => tracing::error!("{deposed}: starting again"),
        }
        restart()
    }
}

/// The mark beside the journal, which goes on now and then.
struct Notes<'a> {
    part: &'a Participant,
    mark: Mark,
    noted_us: u64,
}

impl<'a> Notes<'a> {
    fn new(part: &'a Participant) -> Self {
        Self {
            part,
            mark: part.mark.clone(),
            noted_us: part.clock.monotonic_us(),
        }
    }

    /// Notes that the log has acknowledged everything up to `at`, unless it is too soon. Returns whether it was due.
    fn advance(&mut self, at: Position) -> bool {
        let now_us = self.part.clock.monotonic_us();
        if now_us.saturating_sub(self.noted_us) < limits::LOG_MARK_SECONDS * 1_000_000 {
            return false;
        }
        self.noted_us = now_us;
        self.write(at);
        true
    }

    fn write(&mut self, at: Position) {
        if self.mark.at == at {
            return;
        }
        let journal = &self.part.journal;
        let noted = self.mark.advance(at, &**journal.disk(), journal.dir());
        match noted {
            Ok(()) => self.part.needed.note_marked(at.lsn),
            Err(error) if error.is_failed_sync() => journal.fail(&error),
            Err(error) => tracing::warn!(
                log = self.mark.log,
                "the place in the replicated log is not noted: {error}"
            ),
        }
    }
}

/// Replaces this process by a new one with the same arguments. What is in memory and not acknowledged is gone with it.
pub(super) fn restart() -> ! {
    start_again(|command| command.env_remove(HANDED_OVER))
}

/// Replaces this process, which has offered its leadership, by a new one that leaves it to others at first.
pub(super) fn restart_behind_offer() -> ! {
    start_again(|command| command.env(HANDED_OVER, "1"))
}

fn start_again(prepare: impl FnOnce(&mut Command) -> &mut Command) -> ! {
    logging::flush();
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1));
    let error = prepare(&mut command).exec();
    tracing::error!("cannot start again: {error}");
    logging::flush();
    process::exit(EXIT_JOURNAL_FAILED);
}
