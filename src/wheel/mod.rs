//! A hierarchical timer wheel (Varghese and Lauck, 1987): millions of deadlines, each armed and
//! cancelled in constant time, and popped in their order.
//!
//! A level has 64 slots: of a millisecond each in the lowest, of 64 times the width of the level
//! below in the others. A deadline is filed where it first differs from the wheel's time, so
//! everything in a level comes before everything in the levels above it, and the first deadline is in
//! the first slot of the lowest level that is not empty. When time comes to a slot of a higher level,
//! its timers are filed anew, further down. Bitmaps find the slots: a jump over a year costs no more
//! than one over a second. There are as many levels as the farthest deadline needs; no more than ten.
//!
//! The wheel reads no clock. An empty one has no memory but its own.

mod entries;
mod key;
mod level;
#[cfg(test)]
mod tests;
mod tick;

use entries::Entries;
pub use key::TimerKey;
use level::{Level, Place, SLOT_BITS, SLOTS};
use tick::Tick;

use crate::types::Timestamp;

/// Timers with values of type `T`.
///
/// Deadlines are rounded up to the millisecond: no timer fires early, and all that are due in the
/// same millisecond are due together.
pub struct Wheel<T> {
    entries: Entries<T>,
    levels: Vec<Level>,
    /// The wheel's time. No timer is filed before it.
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

    /// Whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms a timer for `at`, in constant time. One in the past is due at once.
    ///
    /// # Panics
    /// When 16,777,216 timers are armed already.
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
    /// next, together with what is due then. Each timer is filed anew once per level at most, so a
    /// call may cost more than a constant, but all calls together do not.
    ///
    /// A `now` before an earlier one changes nothing about what is due when. Timers that were armed for
    /// the time in between make the wheel file everything anew, once.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let now = Tick::reached(now);
        if now < self.now && self.past.is_some() {
            self.set_back(now);
        }
        while let Some((place, head)) = self.first() {
            let start = self.start(place);
            if start > now {
                break;
            }
            if place.level == 0 {
                self.now = start;
                return Some(self.take(head));
            }
            // As near to the first deadline as is known, so that few timers keep few slots busy.
            self.now = self.earliest(place).min(now);
            self.spread(place, head);
        }
        self.now = self.now.max(now);
        None
    }

    /// When [`Wheel::pop_due`] will have the first timer: never later than the earliest deadline,
    /// rounded up to the millisecond. It may be earlier when timers were cancelled; otherwise it is
    /// exact, or past when the timer is due already.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let (place, _) = self.first()?;
        let earliest = self.earliest(place);
        let earliest = self.past.map_or(earliest, |past| past.min(earliest));
        Some(earliest.timestamp())
    }

    /// The first slot that is not empty, and its head.
    fn first(&self) -> Option<(Place, u32)> {
        self.levels.iter().enumerate().find_map(|(number, level)| {
            let slot = level.first_slot()?;
            let place = Place {
                level: number,
                slot,
            };
            Some((place, level.head(slot)?))
        })
    }

    /// Where a timer for `tick` belongs: under the highest group of bits that is not as in `now`.
    fn place(&self, tick: Tick) -> Place {
        let tick = tick.max(self.now).0;
        let differing = (tick ^ self.now.0) | (SLOTS as u64 - 1);
        let level = differing.ilog2() / SLOT_BITS;
        Place {
            level: level as usize,
            slot: (tick >> (level * SLOT_BITS)) as usize % SLOTS,
        }
    }

    /// The first tick of a slot that lies at or behind `now`.
    fn start(&self, place: Place) -> Tick {
        let shift = place.level as u32 * SLOT_BITS;
        let around = u64::MAX << (shift + SLOT_BITS);
        Tick(self.now.0 & around | (place.slot as u64) << shift)
    }

    /// Not later than any deadline in a slot that is not empty, `past` excepted.
    fn earliest(&self, place: Place) -> Tick {
        let start = self.start(place);
        match self.levels[place.level].earliest(place.slot) {
            Some(index) => start.max(Tick::of_deadline(self.entries[index].deadline)),
            None => start,
        }
    }

    /// Puts an entry that is in no ring where its deadline belongs.
    fn file(&mut self, index: u32) {
        let deadline = self.entries[index].deadline;
        let tick = Tick::of_deadline(deadline);
        if tick < self.now {
            self.past = Some(self.past.map_or(tick, |past| past.min(tick)));
        }
        let Place { level, slot } = self.place(tick);
        if level >= self.levels.len() {
            self.levels.reserve_exact(level + 1 - self.levels.len());
            self.levels.resize_with(level + 1, || Level::EMPTY);
        }
        let level = &mut self.levels[level];
        let Some(head) = level.head(slot) else {
            self.entries.ring(index);
            return level.lead(slot, index);
        };
        self.entries.append(index, head);
        if level.earliest(slot).is_some() && deadline < self.entries[head].deadline {
            level.lead(slot, index);
        }
    }

    /// Files the ring of a slot anew, nearer to `now`.
    fn spread(&mut self, place: Place, head: u32) {
        self.levels[place.level].clear(place.slot);
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
        let Place { level, slot } = self.place(tick);
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
