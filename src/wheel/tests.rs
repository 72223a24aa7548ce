//! Everything fires once, in order, never early and never late.

use std::collections::BTreeMap;
use std::mem::size_of;

use proptest::prelude::*;

use super::entries::{PIECE_ENTRIES, WheelEntry};
use super::*;

const MS: i64 = 1000;
const HOUR: i64 = 3_600_000 * MS;
const YEAR: i64 = 8766 * HOUR;

/// 2026, in the middle of a millisecond.
const START: i64 = 1_790_000_000_000_123;

fn wheel<T>() -> Wheel<T> {
    Wheel::new(Timestamp(START))
}

fn drain<T>(wheel: &mut Wheel<T>, now: i64) -> Vec<(i64, T)> {
    let pop = || {
        wheel
            .pop_due(Timestamp(now))
            .map(|(at, value)| (at.0, value))
    };
    std::iter::from_fn(pop).collect()
}

/// The first moment at which a timer for `at` may fire.
fn rounded_up(at: i64) -> i64 {
    at.checked_add(MS - 1)
        .unwrap_or(i64::MAX)
        .div_euclid(MS)
        .saturating_mul(MS)
}

#[test]
fn fires_at_the_first_millisecond_that_is_not_early() {
    for base in [START, 0, -START, -1, 999, 1000] {
        let mut wheel = Wheel::new(Timestamp(base - HOUR));
        wheel.arm(Timestamp(base), 'a');
        let due = rounded_up(base);
        assert_eq!(wheel.next_due(), Some(Timestamp(due)));
        assert_eq!(drain(&mut wheel, due - 1), []);
        assert_eq!(wheel.next_due(), Some(Timestamp(due)));
        assert_eq!(drain(&mut wheel, due), [(base, 'a')]);
        assert_eq!((wheel.next_due(), wheel.is_empty()), (None, true));
    }
}

#[test]
fn both_sides_of_every_boundary_between_levels() {
    for level in 0..18 {
        let width = (1_i64 << (3 * level)) * MS;
        for factor in [1, 2, 7, 8, 9, 63, 64, 65] {
            let Some(boundary) = width.checked_mul(factor) else {
                continue;
            };
            let mut wheel = Wheel::new(Timestamp(0));
            let ats = [boundary - MS, boundary, boundary + MS];
            for at in ats.iter().rev() {
                wheel.arm(Timestamp(*at), ());
            }
            for at in ats {
                assert_eq!(wheel.next_due(), Some(Timestamp(at)));
                assert_eq!(drain(&mut wheel, at - 1), []);
                assert_eq!(drain(&mut wheel, at), [(at, ())]);
            }
        }
    }
}

#[test]
fn a_leap_over_years_keeps_the_order() {
    let mut wheel = wheel();
    let ats = [
        9 * YEAR,
        1,
        HOUR,
        24 * HOUR,
        3 * MS,
        YEAR,
        100 * YEAR,
        70 * MS,
    ];
    for after in ats {
        wheel.arm(Timestamp(START + after), after);
    }
    let fired = drain(&mut wheel, START + 50 * YEAR);
    let mut expected = ats.to_vec();
    expected.retain(|&after| after < 50 * YEAR);
    expected.sort_unstable();
    let fired: Vec<i64> = fired.into_iter().map(|(_, after)| after).collect();
    assert_eq!(fired, expected);
    let last = rounded_up(START + 100 * YEAR);
    assert_eq!(wheel.next_due(), Some(Timestamp(last)));
}

#[test]
fn the_ends_of_time_are_deadlines_too() {
    let mut wheel = Wheel::new(Timestamp(i64::MIN));
    let mut ats = [i64::MAX, 0, -1, i64::MIN, i64::MAX - 1];
    for at in ats {
        wheel.arm(Timestamp(at), ());
    }
    ats.sort_unstable();
    assert_eq!(wheel.next_due(), Some(Timestamp(rounded_up(i64::MIN))));
    assert_eq!(drain(&mut wheel, i64::MIN), []);
    assert_eq!(
        drain(&mut wheel, 0),
        ats[..3].iter().map(|&at| (at, ())).collect::<Vec<_>>()
    );
    assert_eq!(drain(&mut wheel, i64::MAX).len(), 2);
}

#[test]
fn same_deadlines_fire_in_the_order_of_arming() {
    let mut wheel = wheel();
    let at = START + 3 * HOUR;
    // From many levels, with others around, and refiled between the arms.
    for number in 0..54 {
        let now = at - ((3 * HOUR) >> number);
        assert_eq!(drain(&mut wheel, now), []);
        wheel.arm(Timestamp(at), Some(number));
        wheel.arm(Timestamp(at + 63 * MS), None);
    }
    let fired = drain(&mut wheel, at + MS);
    assert!(fired.iter().map(|timer| timer.1).eq((0..54).map(Some)));
}

#[test]
fn the_past_is_due_at_once() {
    let mut wheel = wheel();
    wheel.arm(Timestamp(START + HOUR), 'b');
    wheel.arm(Timestamp(START - HOUR), 'a');
    assert!(wheel.next_due().is_some_and(|due| due.0 <= START));
    assert_eq!(drain(&mut wheel, START), [(START - HOUR, 'a')]);
    assert_eq!(wheel.next_due(), Some(Timestamp(rounded_up(START + HOUR))));
}

#[test]
fn a_clock_that_was_put_back_strands_nothing() {
    let mut wheel = wheel();
    wheel.arm(Timestamp(START + 2 * HOUR), 'c');
    assert_eq!(drain(&mut wheel, START + HOUR), []);
    // The clock is an hour back again; what is armed now is behind the wheel's time.
    wheel.arm(Timestamp(START + 2 * MS), 'b');
    wheel.arm(Timestamp(START + MS), 'a');
    assert_eq!(wheel.next_due(), Some(Timestamp(rounded_up(START + MS))));
    assert_eq!(drain(&mut wheel, START), []);
    let (a, b) = ((START + MS, 'a'), (START + 2 * MS, 'b'));
    assert_eq!(drain(&mut wheel, START + 3 * MS), [a, b]);
    assert_eq!(drain(&mut wheel, START + HOUR), []);
    assert_eq!(drain(&mut wheel, START + 3 * HOUR).len(), 1);
}

#[test]
fn a_key_names_its_timer_and_nothing_else() {
    let mut wheel = wheel();
    let first = wheel.arm(Timestamp(START + HOUR), 1);
    assert_eq!(wheel.cancel(first), Some(1));
    assert_eq!(wheel.cancel(first), None);
    let second = wheel.arm(Timestamp(START), 2);
    assert_eq!(first.index(), second.index(), "the entry is used again");
    assert_eq!(wheel.cancel(first), None);
    assert_eq!(drain(&mut wheel, START + MS).len(), 1);
    assert_eq!(wheel.cancel(second), None);
    assert_eq!(size_of::<TimerKey>(), 4);
}

#[test]
fn a_cancelled_timer_makes_next_due_earlier_at_most() {
    let mut wheel = wheel();
    let minutes = |count: i64| Timestamp(START + count * HOUR / 60);
    let keys: Vec<TimerKey> = (10..15).map(|m| wheel.arm(minutes(m), m)).collect();
    let last = Timestamp(rounded_up(minutes(14).0));
    for key in &keys[..4] {
        wheel.cancel(*key);
        assert!(wheel.next_due().is_some_and(|due| due <= last));
    }
    // Every look at it comes nearer.
    while let Some(due) = wheel.next_due() {
        let fired = drain(&mut wheel, due.0);
        assert!(fired.len() == 1 || wheel.next_due() > Some(due));
    }
}

#[test]
fn entries_are_used_again_and_given_back() {
    let mut wheel = wheel();
    for round in 0..3 {
        let keys: Vec<TimerKey> = (0..4 * PIECE_ENTRIES as i64)
            .map(|number| wheel.arm(Timestamp(START + number * 7 * MS), round))
            .collect();
        for key in keys.iter().step_by(2) {
            assert_eq!(wheel.cancel(*key), Some(round));
        }
        for number in 0..2 * PIECE_ENTRIES as i64 {
            wheel.arm(Timestamp(START + number), round);
        }
        assert_eq!(wheel.entries.count(), 4 * PIECE_ENTRIES as u32);
        assert_eq!(drain(&mut wheel, START + YEAR).len(), 4 * PIECE_ENTRIES);
        assert_eq!((wheel.entries.count(), wheel.levels.capacity()), (0, 0));
        assert_eq!(wheel.cancel(keys[1]), None, "also not after the next arms");
    }
}

#[test]
fn little_memory() {
    assert!(size_of::<Wheel<u32>>() <= 96);
    assert_eq!(size_of::<WheelEntry<u32>>(), 24);
    let mut wheel = wheel();
    assert_eq!(wheel.levels.capacity(), 0);
    wheel.arm(Timestamp(START + HOUR), ());
    assert!(wheel.levels.capacity() * size_of::<WheelLevel>() <= 2048);
}

/// One operation on the wheel and on the map beside it.
#[derive(Clone, Debug)]
enum WheelStep {
    /// Arm so far from now.
    Arm(i64),
    /// Arm at a fixed moment.
    ArmAt(i64),
    /// Cancel one of the armed timers.
    Cancel(usize),
    /// Let time pass (back, too), and pop so many timers at most.
    Pop(i64, usize),
}

/// Distances: small ones, around powers of 64 ms, and huge ones.
fn distances() -> impl Strategy<Value = i64> {
    let around = (0..8u32, -2..3i64, 1..64i64)
        .prop_map(|(level, off, factor)| (factor << (6 * level)) * MS + off * MS / 2);
    prop_oneof![
        4 => 0..300 * MS,
        3 => around,
        1 => 0..2 * YEAR,
        1 => -10_000 * MS..0,
    ]
}

fn steps() -> impl Strategy<Value = Vec<WheelStep>> {
    let moments = prop_oneof![
        Just(i64::MAX),
        Just(i64::MIN),
        Just(0),
        any::<i64>(),
        Just(START + HOUR)
    ];
    let limits = prop_oneof![3 => Just(usize::MAX), 1 => 0..4usize];
    let step = prop_oneof![
        10 => distances().prop_map(WheelStep::Arm),
        1 => moments.prop_map(WheelStep::ArmAt),
        4 => any::<usize>().prop_map(WheelStep::Cancel),
        6 => (distances(), limits).prop_map(|(by, limit)| WheelStep::Pop(by, limit)),
    ];
    prop::collection::vec(step, 1..200)
}

/// The wheel, and a map that knows what it must do.
struct Pair {
    wheel: Wheel<usize>,
    /// By number: deadline, key, and whether it lay ahead of all times seen when it was armed.
    armed: BTreeMap<usize, (i64, TimerKey, bool)>,
    armed_ever: usize,
    now: i64,
    latest: i64,
    /// Whether `next_due` must be exact.
    exact: bool,
}

impl Pair {
    fn new(now: i64) -> Self {
        Self {
            wheel: Wheel::new(Timestamp(now)),
            armed: BTreeMap::new(),
            armed_ever: 0,
            now,
            latest: now,
            exact: true,
        }
    }

    fn arm(&mut self, at: i64) {
        let ahead = at > self.latest;
        self.exact &= ahead;
        let key = self.wheel.arm(Timestamp(at), self.armed_ever);
        self.armed.insert(self.armed_ever, (at, key, ahead));
        self.armed_ever += 1;
    }

    fn cancel(&mut self, choice: usize) {
        let numbers: Vec<usize> = self.armed.keys().copied().collect();
        if !numbers.is_empty() {
            let number = numbers[choice % numbers.len()];
            let (_, key, _) = self.armed.remove(&number).expect("it is there");
            assert_eq!(self.wheel.cancel(key), Some(number));
            assert_eq!(self.wheel.cancel(key), None);
            self.exact = self.armed.is_empty();
        }
    }

    fn pop(&mut self, by: i64, limit: usize) {
        self.now = self.now.saturating_add(by);
        self.latest = self.latest.max(self.now);
        let mut last = i64::MIN;
        for _ in 0..limit {
            let Some((at, number)) = self.wheel.pop_due(Timestamp(self.now)) else {
                let due = |timer: &(i64, TimerKey, bool)| rounded_up(timer.0) <= self.now;
                assert!(!self.armed.values().any(due), "one is late");
                self.exact |= self.armed.is_empty();
                return;
            };
            let (deadline, key, ahead) = self.armed.remove(&number).expect("it fires once");
            assert_eq!(at.0, deadline);
            assert!(rounded_up(deadline) <= self.now, "one is early");
            assert_eq!(self.wheel.cancel(key), None);
            if ahead {
                assert!(rounded_up(deadline) >= last, "out of order");
                last = rounded_up(deadline);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.armed.len());
        let earliest = self.armed.values().map(|timer| rounded_up(timer.0)).min();
        let next = self.wheel.next_due().map(|due| due.0);
        assert_eq!(next.is_some(), earliest.is_some());
        // What lies behind the wheel's time is due by then.
        assert!(next <= earliest.map(|earliest| earliest.max(self.latest)));
        if self.now < self.latest || self.exact {
            assert!(next <= earliest, "later than a deadline");
        }
        assert!(!self.exact || next == earliest, "not exact");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn agrees_with_an_ordered_map(start in prop_oneof![Just(START), -HOUR..HOUR], steps in steps()) {
        let mut pair = Pair::new(start);
        for step in steps {
            match step {
                WheelStep::Arm(after) => pair.arm(pair.now.saturating_add(after)),
                WheelStep::ArmAt(at) => pair.arm(at),
                WheelStep::Cancel(choice) => pair.cancel(choice),
                WheelStep::Pop(by, limit) => pair.pop(by, limit),
            }
            pair.check();
        }
    }
}
