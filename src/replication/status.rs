//! What a server says about its part in the replication.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use super::log::Epoch;
use super::position::Position;
use crate::env::Clock;
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::telemetry::seconds;
use crate::types::Lsn;

/// Returns the time by which leaders and standbys wait, in microseconds. It goes on while the machine sleeps: what a leader knew before is old when it
/// wakes.
#[must_use]
pub fn now_us(clock: &dyn Clock) -> u64 {
    clock.steady().0.cast_unsigned()
}

/// The part of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Role {
    /// It finds its place in the log.
    Starting,
    /// It follows the leader, and is ready to take over.
    Standby,
    /// It sells.
    Leader,
    /// Another one leads by now; it answers nothing.
    Fenced,
}

impl Role {
    const ALL: [Self; 4] = [Self::Starting, Self::Standby, Self::Leader, Self::Fenced];

    /// Returns its name, as in figures and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Leader => "leader",
            Self::Fenced => "fenced",
        }
    }
}

/// The figures of a server's replication. Its thread writes them, all others read.
#[derive(Default)]
pub struct ReplicationStatus {
    role: AtomicU8,
    epoch: AtomicU64,
    /// When the last acknowledged question was asked, in microseconds of [`now_us`].
    heard_us: AtomicU64,
    head: AtomicU64,
    replicated: AtomicU64,
    followed: AtomicU64,
    marked: AtomicU64,
    barriers: AtomicU64,
    takeovers: AtomicU64,
    appends: AtomicU64,
    append_us: AtomicU64,
    hand_over: AtomicBool,
    texts: Mutex<Texts>,
}

#[derive(Default)]
struct Texts {
    leader: String,
    error: Option<String>,
    is_full: bool,
}

/// The figures at one moment, as `/health` shows them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicationFigures {
    /// The part of this server.
    pub role: Role,
    /// The number of the leader's time, as last seen.
    pub epoch: u64,
    /// The leader's name for itself; empty where it is not known.
    pub leader: String,
    /// The last record of the log, as last seen.
    pub log_lsn: u64,
    /// The last record that this server knows to be in the log.
    pub replicated_lsn: u64,
    /// Seconds since the last acknowledged question was asked; `None` before the first.
    pub heard_seconds_ago: Option<f64>,
    /// Barriers since the start.
    pub barriers: u64,
    /// Takeovers by this server since the start.
    pub takeovers: u64,
    /// Appends since the start.
    pub appends: u64,
    /// The seconds that they took.
    pub append_seconds: f64,
    /// The time that they took, in microseconds.
    #[serde(skip)]
    pub append_us: u64,
    /// The reason why the log does not answer, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether that is that there is no room for more.
    #[serde(skip)]
    pub is_full: bool,
}

impl ReplicationStatus {
    /// Returns the part of this server.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::ALL[usize::from(self.role.load(Ordering::Acquire))]
    }

    /// Returns whether this server may tell at `now_us` what it knows: it leads, and has heard from the log so lately that nobody
    /// else can lead.
    #[must_use]
    pub fn may_tell(&self, now_us: u64) -> bool {
        let heard_us = self.heard_us.load(Ordering::Acquire);
        let is_fresh = now_us.saturating_sub(heard_us) <= limits::LEADER_FRESH_MS * 1000;
        self.role() == Role::Leader && (is_fresh || is_planted(Slip::TellsStale))
    }

    /// Returns the leader's name for itself; empty where it is not known.
    #[must_use]
    pub fn leader(&self) -> String {
        self.texts.lock().leader.clone()
    }

    /// Returns the epoch of the leader, as last seen.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Returns the figures, at `now_us`.
    #[must_use]
    pub fn read(&self, now_us: u64) -> ReplicationFigures {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let texts = self.texts.lock();
        let heard_us = get(&self.heard_us);
        let append_us = get(&self.append_us);
        ReplicationFigures {
            role: self.role(),
            epoch: get(&self.epoch),
            leader: texts.leader.clone(),
            log_lsn: get(&self.head),
            replicated_lsn: get(&self.replicated),
            heard_seconds_ago: (heard_us > 0).then(|| seconds(now_us.saturating_sub(heard_us))),
            barriers: get(&self.barriers),
            takeovers: get(&self.takeovers),
            appends: get(&self.appends),
            append_seconds: seconds(append_us),
            append_us,
            error: texts.error.clone(),
            is_full: texts.is_full,
        }
    }

    /// Returns the last record that the mark beside the journal names: what is before it is not needed to find this server's place again.
    #[must_use]
    pub fn marked(&self) -> Lsn {
        Lsn(self.marked.load(Ordering::Acquire))
    }

    /// Notes that this server leads and has taken up its duties, unless another one leads by now: from here on it sells.
    pub fn lead(&self) {
        let (from, to) = (Role::Standby as u8, Role::Leader as u8);
        let _ = self
            .role
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn set_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::Release);
    }

    /// Notes that the mark beside the journal names the record `marked`.
    pub fn note_marked(&self, marked: Lsn) {
        self.marked.store(marked.0, Ordering::Release);
    }

    pub(super) fn set_leader(&self, epoch: Epoch, leader: &str) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
        let mut texts = self.texts.lock();
        if texts.leader != leader {
            leader.clone_into(&mut texts.leader);
        }
    }

    /// Notes an acknowledged answer to what was asked at `asked_us`.
    pub fn heard(&self, asked_us: u64) {
        self.heard_us.store(asked_us.max(1), Ordering::Release);
        let mut texts = self.texts.lock();
        (texts.error, texts.is_full) = (None, false);
    }

    /// Notes that the log does not answer as it should, perhaps because there is no room for more.
    pub fn failed(&self, error: &str, is_full: bool) {
        let mut texts = self.texts.lock();
        (texts.error, texts.is_full) = (Some(error.to_owned()), is_full);
    }

    /// Asks the leader to hand its leadership over.
    pub fn ask_hand_over(&self) {
        self.hand_over.store(true, Ordering::Release);
    }

    /// Returns whether somebody has asked for that, once.
    #[must_use]
    pub fn take_hand_over(&self) -> bool {
        self.hand_over.load(Ordering::Relaxed) && self.hand_over.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_head(&self, head: Lsn) {
        self.head.store(head.0, Ordering::Relaxed);
    }

    pub(super) fn set_replicated(&self, at: Position) {
        self.replicated.store(at.lsn.0, Ordering::Relaxed);
    }

    /// Notes the last record that all have whom the leader fills or tells, as the log says.
    pub fn set_followed(&self, followed: Lsn) {
        self.followed.store(followed.0, Ordering::Release);
    }

    /// Returns the last record that all databases have which the leader fills, as the leader has said in the log; 0 where it has not, or fills none.
    #[must_use]
    pub fn followed(&self) -> Lsn {
        Lsn(self.followed.load(Ordering::Acquire))
    }

    pub(super) fn count_barrier(&self) {
        self.barriers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_takeover(&self) {
        self.takeovers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_append(&self, took_us: u64) {
        self.appends.fetch_add(1, Ordering::Relaxed);
        self.append_us.fetch_add(took_us, Ordering::Relaxed);
    }
}
