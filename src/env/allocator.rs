//! Figures of the allocator: the memory that it has taken from the operating system.
//!
//! With `background` and `ring_writer` the only module with code that the compiler cannot check: the allocator, a C library, tells its
//! figures through pointers.

#![allow(unsafe_code)]

use std::ptr::null_mut;

use libmimalloc_sys::mi_process_info;

/// The memory of mimalloc, which this program allocates by. In a program that allocates by another one
/// the figures say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorFigures {
    /// Memory that it may use without asking the system again, in bytes: what is allocated, and what was
    /// freed and is kept for the next time. Part of it may never have been touched, so that it can be
    /// more than what is in RAM.
    pub committed_bytes: u64,
    /// The most that it ever was, in bytes.
    pub peak_committed_bytes: u64,
    /// Page faults of the whole process that had to wait for a disk.
    pub page_faults: u64,
}

impl AllocatorFigures {
    /// Asks the allocator. Costs a system call.
    #[must_use]
    pub fn read() -> Self {
        let [mut committed, mut peak_committed, mut page_faults] = [0_usize; 3];
        // SAFETY: any thread may call the function at any time, also in a program that allocates by
        // something else. It writes one `usize` through each pointer that is not null, and keeps none of
        // them; these three point to variables of their own, which live until behind the call.
        unsafe {
            mi_process_info(
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut committed,
                &raw mut peak_committed,
                &raw mut page_faults,
            );
        }
        Self {
            committed_bytes: committed as u64,
            peak_committed_bytes: peak_committed as u64,
            page_faults: page_faults as u64,
        }
    }
}
