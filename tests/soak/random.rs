//! Chance.

use std::hash::{BuildHasher, RandomState};

use flashsale::env::splitmix64;

/// Numbers that differ from run to run: what threads and kills do cannot be repeated anyway.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    pub fn below(&mut self, end: u64) -> u64 {
        splitmix64(&mut self.0) % end
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = (!from.is_empty()).then(|| self.below(from.len() as u64))?;
        from.get(usize::try_from(place).expect("an index"))
    }
}
