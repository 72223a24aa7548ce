//! Time, disk and randomness: what the outside world does to the engine, behind traits, so that a
//! whole run can be repeated from one seed with faults injected.
//!
//! **Invariant:** nothing outside this module calls the clock, the file system or the generator.

#[forbid(unsafe_code)]
mod aligned_buffer;
mod allocator;
#[forbid(unsafe_code)]
mod authorities;
mod background;
#[forbid(unsafe_code)]
mod certificate_rule;
#[forbid(unsafe_code)]
mod client_encryption;
#[forbid(unsafe_code)]
mod clock;
#[forbid(unsafe_code)]
mod control_group;
#[forbid(unsafe_code)]
mod direct_file;
#[forbid(unsafe_code)]
mod disk;
#[forbid(unsafe_code)]
mod entropy;
#[forbid(unsafe_code)]
mod filesystem;
#[forbid(unsafe_code)]
mod machine;
#[forbid(unsafe_code)]
mod pem;
mod process;
#[forbid(unsafe_code)]
mod real_disk;
#[forbid(unsafe_code)]
mod resolver;
#[forbid(unsafe_code)]
mod resource_limits;
mod ring_writer;
#[forbid(unsafe_code)]
mod secret;
#[forbid(unsafe_code)]
mod simulated_disk;
#[forbid(unsafe_code)]
mod simulated_faults;
#[forbid(unsafe_code)]
mod simulated_file;
#[forbid(unsafe_code)]
mod simulated_writer;

pub use allocator::AllocatorFigures;
pub use authorities::{AuthoritiesError, read_authorities};
pub use background::{give_way, step_back};
pub use certificate_rule::{CertificateRule, Presented, RuleVerifier};
pub use client_encryption::{ClientEncryption, ClientTls};
#[cfg(feature = "otel")]
pub use clock::system_time;
pub use clock::{Clock, ManualClock, SystemClock, within};
pub use control_group::MemoryLimit;
pub use disk::{AsyncWriter, Disk, DiskFile, FileId, OpenMode, read_file, replace_file};
pub use entropy::{
    DRAWN_BYTES, Entropy, KeyHasher, OsEntropy, SeededEntropy, fix_hash_seed, key_hasher,
    splitmix64,
};
pub use filesystem::{
    BlockDevice, Filesystem, behind_links, is_mount_point, newest_journal_below, target_dir,
};
pub use machine::Machine;
pub use pem::{PemError, read_chain, read_private_key};
pub use process::{ProcessFigures, thread_cpu_us};
pub use real_disk::RealDisk;
pub use resolver::resolve;
pub use resource_limits::{ResourceLimits, WithLimit};
pub use secret::{Secret, SecretFile};
pub use simulated_disk::SimulatedDisk;
