//! The memory of the timers: entries with numbers, used again and again, linked into rings.

use std::mem;
use std::ops::{Index, IndexMut};

use super::key::{ENTRIES_MAX, TimerKey};
use crate::types::Timestamp;

/// Entries that are allocated at once, so that growing moves nobody and reserves little.
pub(super) const PIECE_ENTRIES: usize = 256;

/// No entry.
const NONE: u32 = u32::MAX;

/// A place for one timer.
pub(super) struct WheelEntry<T> {
    /// The time at which it is to fire, as it was armed.
    pub deadline: Timestamp,
    /// The neighbours in its ring; of a free entry, `next` is the next free one.
    pub previous: u32,
    pub next: u32,
    content: Content<T>,
}

/// The content of an entry, with the generation of its timer or of the next one.
enum Content<T> {
    Armed {
        generation: u8,
        /// The level that its ring is on.
        level: u8,
        value: T,
    },
    Free {
        generation: u8,
    },
}

/// All entries of a wheel.
pub(super) struct Entries<T> {
    pieces: Vec<Vec<WheelEntry<T>>>,
    /// The first of the free ones.
    free: u32,
    armed: u32,
    /// The generation of new entries: another one each time that the old ones have been let go.
    first_generation: u8,
}

impl<T> Entries<T> {
    pub const fn new() -> Self {
        Self {
            pieces: Vec::new(),
            free: NONE,
            armed: 0,
            first_generation: 0,
        }
    }

    /// Armed timers.
    pub fn armed(&self) -> usize {
        self.armed as usize
    }

    /// All entries, armed and free.
    pub fn count(&self) -> u32 {
        let full = self.pieces.len().saturating_sub(1) * PIECE_ENTRIES;
        (full + self.pieces.last().map_or(0, Vec::len)) as u32
    }

    pub fn is_armed(&self, index: u32) -> bool {
        matches!(self[index].content, Content::Armed { .. })
    }

    /// Puts a timer into an entry that is in no ring.
    ///
    /// # Panics
    /// When all the entries that keys can name are in use.
    pub fn insert(&mut self, deadline: Timestamp, value: T) -> TimerKey {
        let index = self.free;
        self.armed += 1;
        if index == NONE {
            return self.push(deadline, value);
        }
        let entry = &mut self[index];
        let generation = entry.generation();
        let next_free = entry.next;
        entry.deadline = deadline;
        entry.content = Content::armed(generation, value);
        self.free = next_free;
        TimerKey::new(index, generation)
    }

    fn push(&mut self, deadline: Timestamp, value: T) -> TimerKey {
        let index = self.count();
        assert!(
            index < ENTRIES_MAX,
            "a wheel has {ENTRIES_MAX} timers at most"
        );
        let generation = self.first_generation;
        let entry = WheelEntry {
            deadline,
            previous: index,
            next: index,
            content: Content::armed(generation, value),
        };
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE_ENTRIES => piece.push(entry),
            // The first piece grows by and by: many wheels never have more than a few timers.
            None => self.pieces.push(vec![entry]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE_ENTRIES);
                piece.push(entry);
                self.pieces.push(piece);
            }
        }
        TimerKey::new(index, generation)
    }

    /// The entry that `key` names, unless its timer is gone.
    pub fn find(&self, key: TimerKey) -> Option<u32> {
        let index = key.index();
        let is_known = index < self.count()
            && self.is_armed(index)
            && self[index].generation() == key.generation();
        is_known.then_some(index)
    }

    /// Takes the timer out of an armed entry, which must be in no ring.
    pub fn remove(&mut self, index: u32) -> (Timestamp, T) {
        let next_free = mem::replace(&mut self.free, index);
        self.armed -= 1;
        let entry = &mut self[index];
        entry.next = next_free;
        let generation = entry.generation().wrapping_add(1);
        match mem::replace(&mut entry.content, Content::Free { generation }) {
            Content::Armed { value, .. } => (entry.deadline, value),
            Content::Free { .. } => unreachable!("only an armed entry is in a ring"),
        }
    }

    /// Gives all the memory back if it is much. Nothing may be armed. Whether it was much.
    pub fn release(&mut self) -> bool {
        debug_assert_eq!(self.armed, 0);
        let was_large = self.pieces.len() > 1;
        if was_large {
            *self = Self {
                first_generation: self.first_generation.wrapping_add(1),
                ..Self::new()
            };
        }
        was_large
    }

    /// Makes a ring of `index` alone.
    pub fn ring(&mut self, index: u32) {
        let entry = &mut self[index];
        entry.previous = index;
        entry.next = index;
    }

    /// Puts `index` into a ring, behind its last entry, which is the one before `head`.
    pub fn append(&mut self, index: u32, head: u32) {
        let last = mem::replace(&mut self[head].previous, index);
        self[last].next = index;
        let entry = &mut self[index];
        entry.previous = last;
        entry.next = head;
    }

    /// Takes `index` out of its ring. The one that followed it, unless it was alone.
    pub fn unlink(&mut self, index: u32) -> Option<u32> {
        let WheelEntry { previous, next, .. } = self[index];
        self[previous].next = next;
        self[next].previous = previous;
        (next != index).then_some(next)
    }
}

impl<T> Content<T> {
    fn armed(generation: u8, value: T) -> Self {
        Self::Armed {
            generation,
            level: 0,
            value,
        }
    }
}

impl<T> WheelEntry<T> {
    /// The level of its ring.
    pub fn level(&self) -> usize {
        match self.content {
            Content::Armed { level, .. } => level.into(),
            Content::Free { .. } => unreachable!("only an armed entry is in a ring"),
        }
    }

    /// Notes the level of the ring that it is put into.
    pub fn set_level(&mut self, number: usize) {
        if let Content::Armed { level, .. } = &mut self.content {
            *level = number as u8;
        }
    }

    fn generation(&self) -> u8 {
        match self.content {
            Content::Armed { generation, .. } | Content::Free { generation } => generation,
        }
    }
}

impl<T> Index<u32> for Entries<T> {
    type Output = WheelEntry<T>;

    fn index(&self, index: u32) -> &WheelEntry<T> {
        let index = index as usize;
        &self.pieces[index / PIECE_ENTRIES][index % PIECE_ENTRIES]
    }
}

impl<T> IndexMut<u32> for Entries<T> {
    fn index_mut(&mut self, index: u32) -> &mut WheelEntry<T> {
        let index = index as usize;
        &mut self.pieces[index / PIECE_ENTRIES][index % PIECE_ENTRIES]
    }
}
