//! The vital signs of a process: nobody outside may see what one does that is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flashsale::env::SimulatedDisk;

/// The vital signs of a process. It is dead once it has ended itself, was killed, or its power has failed.
#[derive(Clone)]
pub struct Vitals {
    ended: Arc<AtomicBool>,
    /// It has ended itself.
    failed: Arc<AtomicBool>,
    disk: SimulatedDisk,
}

impl Vitals {
    /// Creates those of a process that lives, on `disk`.
    #[must_use]
    pub fn new(disk: SimulatedDisk) -> Self {
        Self {
            ended: Arc::default(),
            failed: Arc::default(),
            disk,
        }
    }

    /// Ends the process.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Ends the process, by itself.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.end();
    }

    /// Returns whether the process has ended by itself.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Returns whether the process has ended by itself, or was killed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns whether the process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.has_ended() && !self.disk.has_crashed()
    }
}
