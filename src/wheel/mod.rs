//! A hierarchical timer wheel (Varghese and Lauck, 1987): millions of deadlines, each armed and
//! cancelled in constant time, and popped in their order.
//!
//! A level has 64 slots: of a millisecond in the lowest, of 8 times the width of the level below in
//! the others. A deadline is filed in the lowest level that reaches it, so in a slot that is not wider
//! than an eighth of the time until then; when that slot begins, its timers are filed anew, at least
//! two levels further down. The levels overlap for that: were the slots 64 times as wide as those below, a
//! single one could hold all the timers of five minutes, and move them all at once.
//! Bitmaps find the slots: a jump over a year costs no more than one over a second. There are as many
//! levels as the farthest deadline needs: five for two minutes, eleven for a year.
//!
//! The wheel reads no clock. An empty one has no memory but its own.

mod entries;
mod key;
mod level;
#[cfg(test)]
mod tests;
mod tick;

use std::cmp::Reverse;

use entries::Entries;
pub use key::TimerKey;
use level::{WheelLevel, lowest_reaching, slot, slots_between};
use tick::Tick;

use crate::types::Timestamp;

/// Timers with values of type `T`.
///
/// Deadlines are rounded up to the millisecond: no timer fires early, and all that are due in the
/// same millisecond are due together.
pub struct Wheel<T> {
    entries: Entries<T>,
    levels: Vec<WheelLevel>,
    /// The wheel's time. No timer is filed before it, and none outside the lowest level in a slot that
    /// has begun.
    now: Tick,
    /// The least deadline, before `now`, that was filed under `now` since that slot was empty.
    past: Option<Tick>,
}

impl<T> Wheel<T> {
    /// A wheel without timers that allocates nothing yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            entries: Entries::new(),
            levels: Vec::new(),
            now: Tick::reached(now),
            past: None,
        }
    }

    /// Timers that are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.armed()
    }

    /// Returns whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms a timer for `at`, in constant time. One in the past is due at once.
    ///
    /// # Panics
    /// When 16,777,215 timers are armed already.
    pub fn arm(&mut self, at: Timestamp, value: T) -> TimerKey {
        let key = self.entries.insert(at, value);
        self.file(key.index());
        key
    }

    /// Disarms a timer, in constant time. `None` if it has fired or was cancelled before.
    ///
    /// The owner drops its key together with the timer: see [`TimerKey`].
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let index = self.entries.find(key)?;
        Some(self.take(index).1)
    }

    /// One timer that is due at `now`, with its deadline as it was armed; `None` when none is.
    ///
    /// Call it until it gives `None`. Timers come in the order of their deadlines, in milliseconds, and
    /// those of the same microsecond in the order of arming. One that was armed for the past comes
    /// next. Each timer is filed anew once for every second
    /// level at most, so a call may cost more than a constant, but all calls together do not.
    ///
    /// A `now` before an earlier one changes nothing about what is due when. Timers that were armed for
    /// the time in between make the wheel file everything anew, once; the same deadlines may then change
    /// places.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let now = Tick::reached(now);
        if now < self.now && self.past.is_some() {
            self.set_back(now);
        }
        while let Some((start, level)) = self.first() {
            if start > now {
                break;
            }
            self.now = start;
            let head = self.levels[level].head(slot(start, level))?;
            if level == 0 {
                return Some(self.take(head));
            }
            self.spread(level, head);
        }
        self.now = self.now.max(now);
        None
    }

    /// Returns when [`Wheel::pop_due`] will have the first timer: never later than the earliest deadline,
    /// rounded up to the millisecond. It may be earlier when timers were cancelled; otherwise it is
    /// exact, or past when the timer is due already.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let levels = self.levels.iter().enumerate();
        let earliest = levels.filter_map(|(number, level)| {
            let start = level.first_start(self.now, number)?;
            let head = level.earliest(slot(start, number));
            Some(head.map_or(start, |head| Tick::of_deadline(self.entries[head].deadline)))
        });
        earliest.chain(self.past).min().map(Tick::timestamp)
    }

    /// The first slot that is not empty: when it begins, and its level. Of those that begin together it
    /// is the highest, so that what is in it is filed behind nothing that came later.
    fn first(&self) -> Option<(Tick, usize)> {
        let levels = self.levels.iter().enumerate();
        let starts = levels.filter_map(|(number, level)| {
            let start = level.first_start(self.now, number)?;
            Some((start, number))
        });
        starts.min_by_key(|&(start, number)| (start, Reverse(number)))
    }

    /// Returns the level for a timer at `tick`: the lowest one that reaches it, unless a higher one has
    /// timers for the same time. They came first.
    fn level_for(&self, tick: Tick) -> usize {
        let lowest = lowest_reaching(self.now, tick);
        let is_in_use = |&number: &usize| {
            let has_begun = slots_between(self.now, tick, number) == 0;
            !has_begun && self.levels[number].head(slot(tick, number)).is_some()
        };
        let mut higher = (lowest + 1..self.levels.len()).rev();
        higher.find(is_in_use).unwrap_or(lowest)
    }

    /// Puts an entry that is in no ring where its deadline belongs.
    fn file(&mut self, index: u32) {
        let deadline = self.entries[index].deadline;
        let tick = Tick::of_deadline(deadline);
        if tick < self.now {
            self.past = Some(self.past.map_or(tick, |past| past.min(tick)));
        }
        let tick = tick.max(self.now);
        let number = self.level_for(tick);
        if number >= self.levels.len() {
            self.levels.reserve_exact(number + 1 - self.levels.len());
            self.levels.resize_with(number + 1, || WheelLevel::EMPTY);
        }
        self.entries[index].set_level(number);
        let (level, slot) = (&mut self.levels[number], slot(tick, number));
        let Some(head) = level.head(slot) else {
            self.entries.ring(index);
            return level.lead(slot, index);
        };
        self.entries.append(index, head);
        if level.earliest(slot).is_some() && deadline < self.entries[head].deadline {
            level.lead(slot, index);
        }
    }

    /// Files the ring of a slot that begins anew, further down.
    fn spread(&mut self, level: usize, head: u32) {
        self.levels[level].clear(slot(self.now, level));
        let mut index = head;
        loop {
            let next = self.entries[index].next;
            self.file(index);
            if next == head {
                return;
            }
            index = next;
        }
    }

    /// Takes a timer out of its slot, and the memory back when it was the last of many.
    fn take(&mut self, index: u32) -> (Timestamp, T) {
        let tick = Tick::of_deadline(self.entries[index].deadline);
        let level = self.entries[index].level();
        let slot = slot(tick.max(self.now), level);
        match self.entries.unlink(index) {
            Some(next) => self.levels[level].leave(slot, index, next),
            None => {
                self.levels[level].clear(slot);
                if tick <= self.now {
                    self.past = None;
                }
            }
        }
        let taken = self.entries.remove(index);
        if self.is_empty() && self.entries.release() {
            self.levels = Vec::new();
        }
        taken
    }

    /// Begins again from an earlier time.
    fn set_back(&mut self, now: Tick) {
        self.now = now;
        self.past = None;
        self.levels.clear();
        for index in 0..self.entries.count() {
            if self.entries.is_armed(index) {
                self.file(index);
            }
        }
    }
}
