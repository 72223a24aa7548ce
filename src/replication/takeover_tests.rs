//! When a standby takes over, and when it must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::tests::{TAKEOVER_MS, TestServer};
use super::*;
use crate::env::ManualClock;
use crate::types::Lsn;

/// A log whose looks take time.
struct SlowLog {
    log: SimulatedLog,
    clock: Arc<ManualClock>,
    look_us: Arc<AtomicI64>,
}

impl ReplicatedLog for SlowLog {
    fn peek(&mut self) -> Result<Option<Head>, LogError> {
        self.clock.advance_us(self.look_us.load(Ordering::Relaxed));
        self.log.peek()
    }

    fn read_head(&mut self) -> Result<Option<Head>, LogError> {
        self.log.read_head()
    }

    fn create(&mut self, identity: LogIdentity, base: Position) -> Result<(), LogError> {
        self.log.create(identity, base)
    }

    fn take(&mut self, seen: &Head, holder: &str) -> Result<Option<Head>, LogError> {
        self.log.take(seen, holder)
    }

    fn append(
        &mut self,
        epoch: LogEpoch,
        before: Position,
        frame: &LogFrame,
        progress: LeaderProgress,
    ) -> Result<Appended, LogError> {
        self.log.append(epoch, before, frame, progress)
    }

    fn barrier(
        &mut self,
        epoch: LogEpoch,
        progress: LeaderProgress,
    ) -> Result<Option<Position>, LogError> {
        self.log.barrier(epoch, progress)
    }

    fn offer(&mut self, epoch: LogEpoch) -> Result<bool, LogError> {
        self.log.offer(epoch)
    }

    fn read(
        &mut self,
        log: LogIdentity,
        after: Lsn,
        bytes_max: usize,
    ) -> Result<Vec<LogFrame>, LogError> {
        self.log.read(log, after, bytes_max)
    }

    fn trim(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError> {
        self.log.trim(log, through)
    }
}

/// A log that "other" leads in, and a standby with the time that its looks take, in microseconds.
fn standby() -> (SimulatedLog, TestServer, Arc<AtomicI64>) {
    let mut log = SimulatedLog::default();
    let base = Position::START;
    log.create(LogIdentity::from_stored(7), base).expect("made");
    let head = log.peek().expect("an answer").expect("a log");
    log.take(&head, "other").expect("an answer").expect("taken");
    let mut server = TestServer::new("one");
    let look_us = Arc::<AtomicI64>::default();
    let slow = SlowLog {
        log: log.clone(),
        clock: Arc::clone(&server.clock),
        look_us: Arc::clone(&look_us),
    };
    server.start_on(&log, Box::new(slow)).expect("it fits");
    (log, server, look_us)
}

fn turn(server: &mut TestServer) {
    server.clock.advance_us(100_000);
    server.participant.as_mut().expect("up").turn(Lsn::ZERO);
}

fn epoch(log: &SimulatedLog) -> Epoch {
    log.head().expect("a log").epoch
}

#[test]
fn a_look_that_takes_long_is_no_silence_of_the_leader() {
    let (log, mut server, look_us) = standby();
    look_us.store(i64::from(TAKEOVER_MS) * 1000 + 1, Ordering::Relaxed);
    turn(&mut server);
    // The leader gave a sign in the meantime, for all that can be known.
    look_us.store(0, Ordering::Relaxed);
    turn(&mut server);
    assert_eq!(epoch(&log), Epoch(2), "a leader that was not silent");
    server.clock.advance_us(i64::from(TAKEOVER_MS) * 1000);
    turn(&mut server);
    assert_eq!(epoch(&log), Epoch(3));
    assert!(server.leads());
}

#[test]
fn nobody_leads_in_a_log_that_lacks_what_its_leader_knew_to_be_acknowledged() {
    let (mut log, mut server, _) = standby();
    let leading = log.head().expect("a log").log_epoch();
    let progress = LeaderProgress {
        acknowledged: Lsn(5),
        followed: Lsn::ZERO,
    };
    log.barrier(leading, progress).expect("an answer");
    turn(&mut server);
    server.clock.advance_us(i64::from(TAKEOVER_MS) * 1000);
    turn(&mut server);
    assert_eq!(epoch(&log), Epoch(2));
    assert!(!server.leads());
}

#[test]
fn a_leader_that_gives_a_sign_in_the_last_moment_stays() {
    let (mut log, _, _) = standby();
    let seen = log.peek().expect("an answer").expect("a log");
    let progress = LeaderProgress {
        acknowledged: Lsn::ZERO,
        followed: Lsn::ZERO,
    };
    log.barrier(seen.log_epoch(), progress).expect("an answer");
    assert_eq!(log.take(&seen, "one"), Ok(None));
}
