//! The pace of commands that run beside a server which may be selling.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::env::{RealDisk, SystemClock};
use crate::journal::{Haste, PacedDisk, Pacer};

/// Returns the pacer of a process that cannot know whether a server waits for the disk, and so rests as if it did.
pub(super) fn resting_pacer() -> Pacer {
    let clock = Arc::new(SystemClock::new());
    Pacer::new(clock, || Haste::Yielding, thread::sleep, Duration::MAX)
}

/// Returns the disk at that pace.
pub(super) fn resting_disk() -> PacedDisk {
    PacedDisk::new(Arc::new(RealDisk), Arc::new(resting_pacer()))
}
