//! What a log has to do, whatever keeps it: the same questions to it and to one in memory, from one seed.

use flashsale::env::splitmix64;
use flashsale::journal::OutgoingBatch;
use flashsale::record::{Record, envelope};
use flashsale::replication::{
    Appended, Epoch, Head, LeaderProgress, LogEpoch, LogFrame, LogIdentity, Position,
    ReplicatedLog, SimulatedLog,
};
use flashsale::types::{Lsn, SaleId, Timestamp};

use super::keeper::{LogEngine, on_each_engine};

on_each_engine!(
    a_log_does_what_one_in_memory_does,
    a_log_is_trimmed_from_its_beginning
);

const SEEDS: u64 = 6;
const STEPS: u32 = 60;
/// More records than go into one transaction of etcd, twice.
const MANY_RECORDS: u64 = 160_000;

/// The identity of a log: an engine may have the frames of all logs in one place.
fn identity(seed: u64) -> LogIdentity {
    LogIdentity::from_stored(-1 - seed as i64)
}

fn in_epoch(log: LogIdentity, epoch: u64) -> LogEpoch {
    LogEpoch {
        log,
        epoch: Epoch(epoch),
    }
}

fn acknowledged(lsn: Lsn) -> LeaderProgress {
    LeaderProgress {
        acknowledged: lsn,
        followed: Lsn(lsn.0 / 2),
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        splitmix64(&mut self.0) % bound
    }
}

/// A frame of `count` records behind `before`, which no other one is like.
fn frame(before: Position, count: u64, dice: &mut Dice) -> LogFrame {
    let mut records = Vec::new();
    for _ in 0..count {
        let at = Timestamp(dice.below(1 << 40) as i64);
        envelope::encode(at, &Record::SaleClosed { sale: SaleId(7) }, &mut records);
    }
    let batch = OutgoingBatch {
        first: before.lsn.next(),
        last: Lsn(before.lsn.0 + count),
        records,
    };
    LogFrame::behind(before, batch).expect("records")
}

/// A head without what is each engine's own affair.
fn plain(head: Option<Head>) -> Option<Head> {
    head.map(|head| Head { beat: 0, ..head })
}

/// Reads everything behind `after`, in answers of about `bytes_max` bytes.
fn read_all(
    log: &mut dyn ReplicatedLog,
    identity: LogIdentity,
    mut after: Lsn,
    bytes_max: usize,
) -> Vec<LogFrame> {
    let mut all = Vec::new();
    loop {
        let frames = log.read(identity, after, bytes_max).expect("an answer");
        let Some(last) = frames.last() else {
            return all;
        };
        after = last.last.lsn;
        let before = frames[..frames.len() - 1].iter();
        let bytes: usize = before.map(|frame| frame.records.len()).sum();
        assert!(bytes <= bytes_max, "far more than was asked for");
        all.extend(frames);
    }
}

/// A log and its model, reached by two servers each.
struct Pair {
    real: [Box<dyn ReplicatedLog>; 2],
    model: SimulatedLog,
    identity: LogIdentity,
    /// Places that the log was at.
    places: Vec<Position>,
    epoch: u64,
}

impl Pair {
    /// Asks both the same.
    fn step(&mut self, dice: &mut Dice) {
        let server = dice.below(2) as usize;
        let (real, model) = (&mut *self.real[server], &mut self.model);
        // Mostly the right one.
        let epoch = (self.epoch + 1).saturating_sub(dice.below(8));
        let mut epoch = in_epoch(self.identity, epoch.clamp(1, self.epoch));
        if dice.below(12) == 0 {
            // One that was there before.
            epoch.log = LogIdentity::from_stored(5);
        }
        let before = match dice.below(6) {
            0 => self.places[dice.below(self.places.len() as u64) as usize],
            _ => *self.places.last().expect("the base"),
        };
        let progress = acknowledged(before.lsn);
        match dice.below(10) {
            0 => {
                let holder = format!("server-{server}");
                let is_late = dice.below(4) == 0;
                let take = |log: &mut dyn ReplicatedLog| {
                    let head = log.peek().expect("an answer").expect("a log");
                    let seen = Head {
                        identity: epoch.log,
                        epoch: epoch.epoch,
                        beat: head.beat.wrapping_sub(u64::from(is_late)),
                        ..head
                    };
                    plain(log.take(&seen, &holder).expect("an answer"))
                };
                let taken = take(real);
                assert_eq!(taken, take(model));
                self.epoch += u64::from(taken.is_some());
            }
            1 => {
                let beaten = real.barrier(epoch, progress).expect("an answer");
                assert_eq!(beaten, model.barrier(epoch, progress).expect("an answer"));
            }
            2 => {
                let offered = real.offer(epoch).expect("an answer");
                assert_eq!(offered, model.offer(epoch).expect("an answer"));
            }
            3 => {
                let after = self.places[dice.below(self.places.len() as u64) as usize].lsn;
                let bytes_max = 1 << dice.below(16);
                let found = read_all(real, self.identity, after, bytes_max);
                let expected = read_all(model, self.identity, after, usize::MAX >> 1);
                assert!(found == expected, "behind record {after}");
            }
            4 => {
                let base = frame(Position::START, 1, dice).last;
                // It is there, and stays as it was.
                real.create(self.identity, base).expect("an answer");
            }
            _ => {
                let count = dice.below(30) + 1;
                let frame = frame(before, count, dice);
                let appended = real.append(epoch, before, &frame, progress);
                let appended = appended.expect("an answer");
                let expected = model.append(epoch, before, &frame, progress);
                assert_eq!(appended, expected.expect("an answer"));
                if appended == Appended::Done {
                    self.places.push(frame.last);
                }
            }
        }
        self.check(server);
    }

    fn check(&mut self, server: usize) {
        let head = plain(self.model.peek().expect("an answer"));
        let real = &mut self.real[server];
        assert_eq!(plain(real.peek().expect("an answer")), head);
        assert_eq!(plain(real.read_head().expect("an answer")), head);
    }
}

fn a_log_does_what_one_in_memory_does(engine: LogEngine) {
    let keeper = engine.start();
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let log = identity(seed);
        let mut pair = Pair {
            real: [(); 2].map(|()| keeper.open_named(&format!("seed-{seed}"))),
            model: SimulatedLog::default(),
            identity: log,
            places: Vec::new(),
            epoch: 1,
        };
        pair.real[0].prepare().expect("it is kept well");
        assert_eq!(pair.real[1].peek_unprepared(), Ok(None));
        let base = match seed % 2 {
            0 => Position::START,
            _ => frame(Position::START, 5, &mut dice).last,
        };
        assert_eq!(pair.real[0].create(log, base), Ok(()));
        assert_eq!(pair.model.create(log, base), Ok(()));
        pair.places.push(base);
        pair.check(1);
        for _ in 0..STEPS {
            pair.step(&mut dice);
        }
        // One that is longer than all others.
        let (epoch, before) = (
            in_epoch(log, pair.epoch),
            *pair.places.last().expect("the base"),
        );
        let progress = acknowledged(before.lsn);
        let long = frame(before, MANY_RECORDS, &mut dice);
        assert!(long.records.len() > 2 << 20, "{}", long.records.len());
        for real in &mut pair.real {
            let wrong = real.append(in_epoch(log, pair.epoch + 1), before, &long, progress);
            assert_eq!(wrong, Ok(Appended::NotThere));
        }
        let appended = pair.real[0].append(epoch, before, &long, progress);
        assert_eq!(appended, Ok(Appended::Done));
        // What was sent before, and arrives now.
        let again = pair.real[1].append(epoch, before, &long, progress);
        assert_eq!(again, Ok(Appended::NotThere));
        let found = read_all(&mut *pair.real[1], log, before.lsn, 1000);
        assert!(found == [long], "it is not read as it was written");
    }
}

fn a_log_is_trimmed_from_its_beginning(engine: LogEngine) {
    let keeper = engine.start();
    let mut log = keeper.open();
    log.prepare().expect("it is kept well");
    let (mut dice, identity) = (Dice(7), identity(0));
    assert_eq!(log.create(identity, Position::START), Ok(()));
    let mut places = vec![Position::START];
    for _ in 0..50 {
        let before = *places.last().expect("the base");
        let frame = frame(before, 3, &mut dice);
        let appended = log.append(
            in_epoch(identity, 1),
            before,
            &frame,
            acknowledged(before.lsn),
        );
        assert_eq!(appended, Ok(Appended::Done));
        places.push(frame.last);
        // Twice, because the second gives up what the first has left.
        if places.len() % 10 == 0 {
            log.trim(identity, Lsn::ZERO).expect("an answer");
        }
    }
    // The frame that ends with record 60 stays, because one of its records is behind.
    for _ in 0..2 {
        log.trim(identity, Lsn(59)).expect("an answer");
    }
    assert_eq!(read_all(&mut *log, identity, Lsn(57), 1 << 20).len(), 31);
    let error = log
        .read(identity, Lsn(54), 1 << 20)
        .expect_err("it is gone");
    assert!(
        error.to_string().contains("no longer holds record 55"),
        "{error}"
    );
    let head = log.peek().expect("an answer").expect("a log");
    assert_eq!(head.last, *places.last().expect("some"));
    let next = frame(head.last, 1, &mut dice);
    let appended = log.append(
        in_epoch(identity, 1),
        head.last,
        &next,
        acknowledged(head.last.lsn),
    );
    assert_eq!(appended, Ok(Appended::Done));
}
