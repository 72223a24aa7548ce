//! The trace of a run: a hash of all of it, counts, and on demand a line for each step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Arguments, Write};
use std::rc::Rc;

use flashsale::env::splitmix64;

/// How often each thing has happened.
pub type Counts = BTreeMap<String, u64>;

/// The trace of a run.
#[derive(Clone, Default)]
pub struct Trace(Rc<RefCell<Traced>>);

#[derive(Default)]
struct Traced {
    prints: bool,
    steps: u64,
    digest: Digest,
    counts: Counts,
}

/// A hash of what was written to it.
#[derive(Default)]
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            let mut mixed = self.0 ^ u64::from_le_bytes(word);
            self.0 = splitmix64(&mut mixed) ^ piece.len() as u64;
        }
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    /// Creates a trace, which `prints` a line for each step.
    #[must_use]
    pub fn new(prints: bool) -> Self {
        let trace = Self::default();
        trace.0.borrow_mut().prints = prints;
        trace
    }

    /// Notes a step.
    pub fn step(&self, what: Arguments<'_>) {
        let traced = &mut *self.0.borrow_mut();
        traced.steps += 1;
        let written = traced.digest.write_fmt(what);
        written.expect("what is traced can be written");
        if traced.prints {
            println!("{:6} {what}", traced.steps);
        }
    }

    /// Notes bytes that have to be the same whenever the seed is.
    pub fn bytes(&self, bytes: &[u8]) {
        self.0.borrow_mut().digest.add(bytes);
    }

    /// Counts something.
    pub fn count(&self, what: &str) {
        let counts = &mut self.0.borrow_mut().counts;
        match counts.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                counts.insert(what.to_owned(), 1);
            }
        }
    }

    /// Returns the hash of all steps and bytes so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.borrow().digest.0
    }

    /// Returns the number of steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// Returns how often each thing was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.borrow().counts.clone()
    }
}
