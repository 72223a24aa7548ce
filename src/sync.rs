//! The synchronisation primitives of the parts that are model-checked. The models compile the same
//! source against a checker's versions of these names (`tests/models.rs`).

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering, fence};
