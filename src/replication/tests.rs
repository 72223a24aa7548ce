//! Two servers and one log, with everything that can go wrong between them, from one seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::env::{Clock, Disk, ManualClock, SeededEntropy, SimulatedDisk, splitmix64};
use crate::journal::{Durability, Journal, JournalError, Opening, Options, Tools};
use crate::record::Record;
use crate::record::envelope::Entry;
use crate::types::{Lsn, SaleId, Timestamp};

pub(super) const TAKEOVER_MS: u32 = 3000;
const DIR: &str = "journal";

/// Folds nothing.
struct NoFold;

impl Fold for NoFold {
    fn apply(&mut self, _entry: &Entry<'_>) -> Result<(), JournalError> {
        Ok(())
    }

    fn check(&self, _lsn: Lsn) -> Result<(), JournalError> {
        Ok(())
    }

    fn end(self: Box<Self>) {}
}

pub(super) struct TestServer {
    name: String,
    disk: SimulatedDisk,
    pub(super) clock: Arc<ManualClock>,
    status: Arc<ReplicationStatus>,
    journal: Option<Arc<Journal>>,
    pub(super) participant: Option<Participant>,
    /// Records that somebody waits for, with what tells them apart.
    open: BTreeMap<Lsn, i64>,
}

/// The dice of one run.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        splitmix64(&mut self.0.lock()) % bound
    }

    fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }
}

impl TestServer {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            disk: SimulatedDisk::new(),
            clock: Arc::new(ManualClock::at(Timestamp::from_seconds(100))),
            status: Arc::default(),
            journal: None,
            participant: None,
            open: BTreeMap::new(),
        }
    }

    fn die(&mut self, seed: u64) {
        self.disk = self.disk.crash(seed);
        self.participant = None;
        self.journal = None;
        self.open.clear();
    }

    /// Starts as a standby, if the log lets it.
    fn start(&mut self, log: &SimulatedLog) -> Result<(), JoinError> {
        self.start_on(log, Box::new(log.clone()))
    }

    /// Starts as a standby that joins `log` and asks it by `way` from then on.
    pub(super) fn start_on(
        &mut self,
        log: &SimulatedLog,
        way: Box<dyn ReplicatedLog>,
    ) -> Result<(), JoinError> {
        let dir = Path::new(DIR);
        self.disk.create_dir_all(dir).expect("room");
        let seed = self.name.bytes().map(u64::from).sum();
        let entropy = SeededEntropy::new(seed);
        let joined = join(&mut log.clone(), "sale", &self.disk, dir, &entropy)?;
        let opening = Opening::lock(Arc::new(self.disk.clone()), dir).expect("free");
        let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("intact");
        if !crate::planted::is_planted(crate::planted::Slip::KeepsUnreplicatedTail) {
            assert_eq!(replayed.last_lsn, joined.at.lsn);
        }
        let tools = Tools {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(1)),
            fail_stop: Box::new(|_| ()),
        };
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 16 * 1024,
        };
        let journal = opening
            .start_stepped(&replayed, &options, tools)
            .expect("room");
        let journal = Arc::new(journal);
        self.status = Arc::default();
        let participant = Participant::new(StandbyParts {
            log: way,
            journal: Arc::clone(&journal),
            fold: Box::new(NoFold),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            status: Arc::clone(&self.status),
            name: self.name.clone(),
            mark: joined.mark,
            at: joined.at,
            takeover_ms: TAKEOVER_MS,
            has_offered: false,
        });
        self.journal = Some(journal);
        self.participant = Some(participant);
        Ok(())
    }

    /// Does one thing. Returns what a buyer of this machine was told, by record.
    fn turn(&mut self, dice: &Dice, next: &mut i64) -> Vec<(Lsn, i64)> {
        if self.leads() {
            self.work(dice, next);
        }
        let demand = self.participant.as_mut().map(|it| it.turn(Lsn::ZERO));
        match demand {
            Some(Demand::TakeUpDuties) => self.status.lead(),
            Some(Demand::StartAnew(cause)) => {
                assert_eq!(cause, RestartCause::Fenced, "{}", self.name);
                self.die(dice.below(u64::MAX));
            }
            _ => {}
        }
        self.tell()
    }

    pub(super) fn leads(&self) -> bool {
        let participant = self.participant.as_ref();
        participant.is_some_and(|participant| participant.leads().is_some())
    }

    fn work(&mut self, dice: &Dice, next: &mut i64) {
        let journal = self.journal.as_ref().expect("it is up");
        for _ in 0..dice.below(4) {
            *next += 1;
            let record = Record::SaleClosed { sale: SaleId(7) };
            let lsn = journal.append(Timestamp(*next), &record);
            self.open.insert(lsn, *next);
        }
        if !dice.one_in(3) {
            journal.step_preparation();
            journal.step_commit();
        }
    }

    fn tell(&mut self) -> Vec<(Lsn, i64)> {
        let Some(journal) = &self.journal else {
            return Vec::new();
        };
        let later = self.open.split_off(&journal.durable().next());
        std::mem::replace(&mut self.open, later)
            .into_iter()
            .collect()
    }
}

/// Returns what buyers were told, and what is in the log at the end.
fn run(seed: u64) -> Result<u64, String> {
    let dice = Dice(Arc::new(Mutex::new(seed)));
    let trouble = dice.below(12) + 2;
    let lots = dice.clone();
    let log = SimulatedLog::new(move || match lots.below(trouble) {
        0 => match lots.below(4) {
            0 => LogOutcome::Lost,
            1 => LogOutcome::AnswerLost,
            2 => LogOutcome::Unreplicated,
            _ => LogOutcome::Late,
        },
        _ => LogOutcome::Answered,
    });
    let mut machines = [TestServer::new("one"), TestServer::new("two")];
    let (mut told, mut next) = (BTreeMap::new(), 0);
    for _ in 0..400 {
        let machine = &mut machines[dice.below(2) as usize];
        match dice.below(60) {
            0 => machine.die(dice.below(u64::MAX)),
            1 => log.fail_over(),
            2 => log.deliver_late(),
            3 => log.set_reachable(dice.one_in(2)),
            4 => log.replicate(),
            5..=14 => {
                let jump_us = dice.below(1_500_000) as i64;
                for machine in &machines {
                    machine.clock.advance_us(jump_us);
                }
            }
            _ => {
                if machine.participant.is_none() && dice.one_in(4) {
                    // It may not answer.
                    let _ = machine.start(&log);
                }
                for (lsn, what) in machine.turn(&dice, &mut next) {
                    let before = told.insert(lsn, what);
                    if before.is_some_and(|before| before != what) {
                        return Err(format!("record {lsn} was told twice"));
                    }
                }
            }
        }
    }
    log.set_reachable(true);
    log.decide_by(|| LogOutcome::Answered);
    log.fail_over();
    log.deliver_late();
    let kept = survivors(&log, &mut machines, &dice)?;
    let lost = told.iter().find(|(lsn, what)| kept.get(lsn) != Some(what));
    match lost {
        Some((lsn, _)) => Err(format!("record {lsn} was told and is lost")),
        None => Ok(told.len() as u64),
    }
}

/// Starts both once more, lets one lead, and returns what its journal holds then.
fn survivors(
    log: &SimulatedLog,
    machines: &mut [TestServer; 2],
    dice: &Dice,
) -> Result<BTreeMap<Lsn, i64>, String> {
    for machine in &mut *machines {
        machine.die(dice.below(u64::MAX));
    }
    for machine in &mut *machines {
        machine.start(log).map_err(|error| error.to_string())?;
    }
    for _ in 0..40 {
        for machine in &mut *machines {
            machine.clock.advance_us(400_000);
            machine.turn(dice, &mut 1_000_000);
        }
    }
    let leaders = machines.iter().filter(|machine| machine.leads());
    let leaders: Vec<_> = leaders.collect();
    if leaders.len() != 1 {
        return Err(format!("{} servers lead at the end", leaders.len()));
    }
    let mut kept = BTreeMap::new();
    let leader = &leaders[0];
    crate::journal::replay(
        &leader.disk,
        Path::new(DIR),
        Lsn::ZERO,
        None,
        &mut |entry| {
            kept.insert(entry.lsn, entry.at.0);
            Ok(())
        },
    )
    .map_err(|error| error.to_string())?;
    Ok(kept)
}

#[test]
fn nothing_that_was_told_is_lost_whatever_fails() {
    let mut told = 0;
    for seed in 0..400 {
        told += run(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert!(
        told > 20_000,
        "{told} records were told: too little happened"
    );
}

#[test]
fn a_log_that_is_gone_is_not_made_anew_behind_a_journal_that_it_had() {
    let mut machine = TestServer::new("one");
    let told = tell_before_the_first_note(&mut machine, &SimulatedLog::default());
    let error = machine.start(&SimulatedLog::default());
    let error = error.expect_err("the log is another one");
    assert!(matches!(error, JoinError::LogLost { .. }), "{error}");
    let kept = records_of(&machine);
    assert!(kept >= told, "{kept} of {told}");
}

fn records_of(machine: &TestServer) -> usize {
    let mut records = 0;
    let dir = Path::new(DIR);
    crate::journal::replay(&machine.disk, dir, Lsn::ZERO, None, &mut |_| {
        records += 1;
        Ok(())
    })
    .expect("intact");
    records
}

/// Lets the server sell, as the leader of `log`, and kills it before it has noted any place but the first. Returns how many were told.
fn tell_before_the_first_note(machine: &mut TestServer, log: &SimulatedLog) -> usize {
    let dice = Dice(Arc::new(Mutex::new(1)));
    machine.start(log).expect("a log that is made");
    let mut next = 0;
    let told: usize = (0..100).map(|_| machine.turn(&dice, &mut next).len()).sum();
    assert!(told > 10, "{told}");
    machine.die(0);
    let mark = Mark::read(&machine.disk, Path::new(DIR)).expect("readable");
    assert_eq!(mark.expect("joined").at, Position::START);
    told
}

#[test]
fn a_log_that_was_made_anew_before_the_first_mark_is_not_joined() {
    let mut machines = [TestServer::new("one"), TestServer::new("two")];
    let told = tell_before_the_first_note(&mut machines[0], &SimulatedLog::default());
    // Lost; the other server, whose journal is empty, makes one of the same name, and sells.
    let anew = SimulatedLog::default();
    tell_before_the_first_note(&mut machines[1], &anew);
    let error = machines[0].start(&anew).expect_err("another log");
    assert!(matches!(error, JoinError::MadeAnew { .. }), "{error}");
    let (head, dir) = (anew.head(), Path::new(DIR));
    let unfit = check_fit("sale", head.as_ref(), &machines[0].disk, dir);
    assert!(
        matches!(unfit, Err(JoinError::MadeAnew { .. })),
        "{unfit:?}"
    );
    let kept = records_of(&machines[0]);
    assert!(kept >= told, "{kept} of {told}");
}

#[test]
fn nobody_leads_in_a_log_that_was_made_anew() {
    let (log, dice) = (SimulatedLog::default(), Dice(Arc::new(Mutex::new(1))));
    let mut machines = [TestServer::new("one"), TestServer::new("two")];
    for machine in &mut machines {
        machine.start(&log).expect("a log");
    }
    let mut next = 0;
    for _ in 0..50 {
        machines[0].turn(&dice, &mut next);
    }
    assert_eq!(machines[0].status.role(), Role::Leader);
    let anew = SimulatedLog::default();
    TestServer::new("three").start(&anew).expect("a log");
    log.replace_by(&anew);
    for machine in &mut machines {
        machine.clock.advance_us(10_000_000);
        for _ in 0..20 {
            machine.turn(&dice, &mut next);
        }
    }
    assert_eq!(machines[0].status.role(), Role::Fenced);
    assert_eq!(machines[1].status.role(), Role::Standby);
    let (head, frames) = (log.head(), log.frames_behind(Lsn::ZERO));
    let head = head.expect("made");
    assert_eq!((head.epoch, head.beat, frames.len()), (Epoch(1), 0, 0));
}

#[cfg(feature = "planted")]
#[test]
fn each_slip_of_the_replication_is_found() {
    use crate::planted::{Slip, plant};

    let slips = [
        Slip::AcknowledgesOpenAppends,
        Slip::TrustsWhatItSees,
        Slip::TellsBeforeReplicated,
        Slip::KeepsUnreplicatedTail,
        Slip::IgnoresEpoch,
    ];
    for slip in slips {
        plant(Some(slip));
        let is_found = |seed: &u64| {
            let run = || run(*seed);
            std::panic::catch_unwind(run).is_err_and(|_| true) || run().is_err()
        };
        let found = (0..2000).find(is_found);
        plant(None);
        assert!(found.is_some(), "{slip:?} was not found");
        eprintln!("{slip:?}: seed {found:?}");
    }
}

#[test]
fn a_log_that_is_gone_is_not_made_anew_for_a_journal_that_it_had() {
    let (disk, dir) = (SimulatedDisk::new(), Path::new(DIR));
    disk.create_dir_all(dir).expect("room");
    let mut mark = Mark {
        log: "sale".into(),
        identity: LogIdentity::from_stored(1),
        since: Lsn::ZERO,
        at: Position {
            lsn: Lsn(9),
            chain: Chain::from_stored(5),
        },
        cut: None,
    };
    mark.write(&disk, dir).expect("room");
    let mut log = SimulatedLog::default();
    let entropy = SeededEntropy::new(1);
    let refused = join(&mut log, "sale", &disk, dir, &entropy);
    assert!(
        matches!(refused, Err(JoinError::LogLost { known: Lsn(9), .. })),
        "{refused:?}"
    );
    assert_eq!(log.head(), None);
    // Where nothing was told yet nothing is lost.
    mark.at = Position::START;
    mark.write(&disk, dir).expect("room");
    let joined = join(&mut log, "sale", &disk, dir, &entropy).expect("a new one");
    assert_eq!(joined.at, Position::START);
}

#[test]
fn what_comes_behind_an_interrupted_cut_is_not_cut_off() {
    let (log, dice) = (SimulatedLog::default(), Dice(Arc::new(Mutex::new(1))));
    let (mut machine, mut next) = (TestServer::new("one"), 0);
    machine.start(&log).expect("a log that is made");
    for _ in 0..100 {
        machine.turn(&dice, &mut next);
    }
    machine.die(0);
    // As a start leaves it whose power fails when the journal was cut.
    let (disk, dir) = (machine.disk.clone(), Path::new(DIR));
    let joined = join(&mut log.clone(), "sale", &disk, dir, &SeededEntropy::new(1));
    let mark = joined.expect("it fits").mark;
    let mark = Mark {
        cut: Some(mark.at.lsn),
        ..mark
    };
    mark.write(&disk, dir).expect("room");
    machine.start(&log).expect("the cut is ended");
    let mark = Mark::read(&disk, dir).expect("readable").expect("there");
    assert_eq!(mark.cut, None);
}

#[test]
fn a_mark_does_not_name_what_is_not_on_the_disk() {
    let (log, dice) = (SimulatedLog::default(), Dice(Arc::new(Mutex::new(1))));
    let (mut machine, mut next) = (TestServer::new("one"), 0);
    machine.start(&log).expect("a log that is made");
    while !machine.leads() {
        machine.turn(&dice, &mut next);
    }
    // The disk has no room, and the log has.
    let used = machine.disk.paths().len() as u64 * 16 * 1024;
    machine.disk.set_capacity_bytes(Some(used));
    machine.disk.fail_syncs_for_room(true);
    let journal = machine.journal.clone().expect("it is up");
    journal.append(Timestamp(1), &Record::SaleClosed { sale: SaleId(7) });
    machine.clock.advance_us(20_000_000);
    for _ in 0..20 {
        journal.step_commit();
        machine.participant.as_mut().expect("up").turn(Lsn::ZERO);
    }
    let reached = journal.reached().expect("it leads");
    assert!(reached.local < reached.replicated, "{reached:?}");
    let mark = Mark::read(&machine.disk, Path::new(DIR));
    let mark = mark.expect("readable").expect("there");
    assert!(mark.at.lsn <= reached.local, "{mark:?} {reached:?}");
}
