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
use crate::env::{Disk, OsEntropy};
use crate::journal::JournalError;
use crate::record::envelope::Entry;
use crate::replication::{
    Complaints, Demand, Fold, JoinError, Joined, LogIdentity, Participant, ReplicatedLog,
    ReplicationStatus, RestartCause, Role, StandbyParts, join,
};
use crate::runtime::Shutdown;
use crate::sale::FollowingState;
use crate::schedule::ClockWatch;
use crate::types::Lsn;

/// The pause between two attempts to reach the log.
const RETRY: Duration = Duration::from_millis(500);
/// The variable that tells a process that the one before it has handed its leadership over.
const HANDED_OVER: &str = "FLASHSALE_HANDED_OVER";

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
        let mut complaints = Complaints::default();
        let joined = loop {
            let joined = log
                .prepare()
                .map_err(JoinError::from)
                .and_then(|()| join(&mut *log, &settings.log, disk, dir, &OsEntropy));
            match joined {
                Err(error) if error.may_pass() => {
                    let why = error.to_string();
                    if complaints.note(&why) {
                        tracing::warn!(address, "waiting for the replicated log: {address}: {why}");
                    }
                    thread::sleep(RETRY);
                }
                joined => break joined?,
            }
        };
        if joined.cut > 0 {
            tracing::warn!(
                records = joined.cut,
                last = joined.at.lsn.0,
                "records that the replicated log does not have are cut off; nobody was answered from them"
            );
        }
        tracing::info!(
            log = settings.log,
            last = joined.at.lsn.0,
            "the replicated log is joined"
        );
        let status = Arc::<ReplicationStatus>::default();
        Ok(Self {
            log,
            name,
            settings: settings.clone(),
            needed: NeededRecords::new(&status, config.has_followers()),
            joined,
            status,
        })
    }

    /// The figures.
    pub(super) fn status(&self) -> &Arc<ReplicationStatus> {
        &self.status
    }

    /// The identity of the log.
    pub(super) fn identity(&self) -> LogIdentity {
        self.joined.mark.identity
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

impl Fold for FollowingState {
    fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.apply(entry)
    }

    fn check(&self, lsn: Lsn) -> Result<(), JournalError> {
        self.check(lsn)
    }

    fn end(self: Box<Self>) {
        (*self).end();
    }
}

/// The thread that gives this server's part in the replication its turns.
pub(super) struct ReplicationThread {
    shared: Arc<ThreadState>,
    thread: JoinHandle<()>,
}

/// The thread's state that is shared with who ends it.
#[derive(Default)]
struct ThreadState {
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
        let shared = Arc::<ThreadState>::default();
        let status = membership.status;
        let watch = ClockWatch::new(Arc::clone(&duties.engine));
        let followed = duties.followed.clone();
        let participant = Participant::new(StandbyParts {
            log: membership.log,
            journal: Arc::clone(duties.engine.journal()),
            fold: Box::new(following),
            clock: Arc::clone(&duties.clock),
            status: Arc::clone(&status),
            name: membership.name,
            mark: membership.joined.mark,
            at: membership.joined.at,
            takeover_ms: membership.settings.takeover_ms,
            has_offered: std::env::var_os(HANDED_OVER).is_some(),
        });
        let driver = Driver {
            participant,
            duties: Some(duties),
            status,
            needed: membership.needed,
            followed,
            watch: Some(watch),
            is_warned: false,
            shared: Arc::clone(&shared),
            shutdown: shutdown.clone(),
        };
        let thread = Builder::new()
            .name("replicate".into())
            .spawn(move || driver.run())?;
        Ok(Self { shared, thread })
    }

    /// Ends a standby's following, or the leader's schedule. Returns the followers, which go on until the journal is closed.
    pub(super) fn end_duties(&self) -> Option<Followers> {
        let taken_up = {
            let mut duties = self.shared.duties.lock();
            // Under the lock, so that no duties are taken up behind it.
            self.shared.is_stopped.store(true, Ordering::Release);
            duties.take()
        };
        drop(self.shared.following.lock());
        let duties = taken_up?.join().ok().flatten();
        duties.map(Duties::end_schedule)
    }

    /// Ends the thread: a standby at once, a leader when all that was appended is in the log, and the leadership was offered. The journal must be
    /// closed.
    pub(super) fn end(self) -> Ended {
        let _ = self.thread.join();
        match self.shared.is_handed_over.load(Ordering::Acquire) {
            true => Ended::HandedOver,
            false => Ended::Stopped,
        }
    }
}

/// The work of the thread.
struct Driver {
    participant: Participant,
    /// The duties, until they are taken up.
    duties: Option<DutyParts>,
    status: Arc<ReplicationStatus>,
    needed: NeededRecords,
    followed: FollowedRecord,
    /// The watch over the clock, which the schedule of a leader has for itself.
    watch: Option<ClockWatch>,
    /// Whether it was said that this server has none of the sinks that its leader has.
    is_warned: bool,
    shared: Arc<ThreadState>,
    shutdown: Shutdown,
}

impl Driver {
    fn run(mut self) {
        tracing::info!("standing by");
        while let Some(demand) = self.turn() {
            match demand {
                Demand::Turn => {}
                Demand::Pause(pause) => thread::sleep(pause),
                Demand::AwaitBatch(patience) => self.participant.await_batch(patience),
                Demand::TakeUpDuties => self.take_up_duties(),
                Demand::HandOver => {
                    self.shared.is_handed_over.store(true, Ordering::Release);
                    self.shutdown.begin();
                }
                Demand::StartAnew(cause) => self.start_anew(cause),
                Demand::End => return,
            }
        }
    }

    /// Gives the part its turn. `None` once this server is to stop, and does not lead.
    fn turn(&mut self) -> Option<Demand> {
        self.watch.iter_mut().for_each(ClockWatch::read);
        let shared = Arc::clone(&self.shared);
        let leads = self.participant.leads().is_some();
        let _following = (!leads).then(|| shared.following.lock());
        if !leads && self.is_stopped() {
            return None;
        }
        if !leads && !self.is_warned && self.needed.lacks_sinks() {
            self.is_warned = true;
            tracing::warn!(
                "the leader fills databases or sends webhooks, and this server has none configured: once it leads, nobody does. Configure DB_HOST, REDIS_HOST and WEBHOOKS alike on all servers"
            );
        }
        let followed = self.needed.told(self.followed.get());
        Some(self.participant.turn(followed))
    }

    fn is_stopped(&self) -> bool {
        self.shared.is_stopped.load(Ordering::Acquire)
    }

    /// Takes up the leader's duties, on another thread: what they record waits for this one.
    fn take_up_duties(&mut self) {
        self.watch = None;
        let mut taken_up = self.shared.duties.lock();
        let Some(duties) = self.duties.take().filter(|_| !self.is_stopped()) else {
            return;
        };
        let status = Arc::clone(&self.status);
        let begin = move || {
            let duties = duties.take_up(status.followed());
            status.lead();
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

    /// Ends this process at once. A new one takes its place, unless this one was told to stop for good.
    fn start_anew(&self, cause: RestartCause) -> ! {
        let is_handed_over = self.shared.is_handed_over.load(Ordering::Acquire);
        if self.is_stopped() && !is_handed_over {
            logging::flush();
            process::exit(match cause {
                RestartCause::Fenced => 0,
                RestartCause::Fault => EXIT_JOURNAL_FAILED,
            });
        }
        // It may come to the same end again, and nobody waits for a standby.
        if self.status.role() == Role::Standby {
            thread::sleep(RETRY);
        }
        restart()
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
