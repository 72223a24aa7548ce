//! Time, disk and randomness: what the outside world does to the engine, behind traits, so that a
//! whole run can be repeated from one seed with faults injected.
//!
//! **Invariant:** nothing outside this module calls the clock, the file system or the generator.

mod clock;
mod disk;
mod entropy;
mod process;
mod simulated_disk;

pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{Disk, DiskFile, OpenMode, RealDisk, read_file};
pub use entropy::{DRAWN_BYTES, Entropy, OsEntropy, SeededEntropy, splitmix64};
pub use process::ProcessMemory;
pub use simulated_disk::SimulatedDisk;
