//! Work in the background: a thread that steps back behind those that sell, and written bytes that are handed to the
//! disk at once.
//!
//! Beside `allocator` and `ring_writer`, the only module with code that the compiler cannot check: no library wraps
//! these two system calls.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;

use rustix::io::Errno;

/// The target of `ioprio_set` is a thread (`IOPRIO_WHO_PROCESS`).
const WHO_THREAD: libc::c_int = 1;
/// The class `IOPRIO_CLASS_IDLE`: the disk's scheduler serves it when nobody else waits. Its place is above the 13 bits
/// of the level.
const CLASS_IDLE: libc::c_int = 3 << 13;
/// Pieces, such as a record, after which a thread gives way. Chosen, not measured.
const PIECES_BETWEEN: u32 = 64;

thread_local! {
    /// Small pieces of work until the thread gives way again; none where it has not stepped back.
    static UNTIL_GIVING_WAY: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Puts the calling thread behind others: by `nice` steps for the processor, and in the idle class for the disk. Where
/// the system refuses, the thread stays as it is.
pub fn step_back(nice: i32) {
    UNTIL_GIVING_WAY.set(Some(PIECES_BETWEEN));
    let _ = rustix::process::nice(nice);
    // SAFETY: the call takes three numbers, reads no memory of the process, and changes only the priority of the
    // calling thread, which 0 stands for.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, CLASS_IDLE) };
}

/// Lets other threads have the processor, each 64 times that a thread which has stepped back calls this; does nothing
/// for others. To be called behind each small piece of a long computation, without a lock that somebody may wait for. Beside a thread
/// that computes, workers wait for milliseconds however little it is worth, and for fewer where it yields (decision 0022).
pub fn give_way() {
    let Some(left) = UNTIL_GIVING_WAY.get() else {
        return;
    };
    let left = match left {
        0 => {
            thread::yield_now();
            PIECES_BETWEEN
        }
        left => left - 1,
    };
    UNTIL_GIVING_WAY.set(Some(left));
}

/// Hands `length` bytes at `offset`, which were written to the cache, to the disk and waits until it has them. Makes
/// nothing durable: the disk may have a cache of its own, and no metadata is written.
///
/// # Errors
/// The disk has refused them. Where the call is not to be had, nothing happens.
pub(super) fn write_out(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = i64::try_from(offset).map_err(invalid)?;
    let length = i64::try_from(length).map_err(invalid)?;
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the call takes a descriptor, which `file` keeps open until behind it, and numbers; it reads and writes
    // no memory of the process.
    let done = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, flags) };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // Anything else says that the call is not to be had here: then the sync has it all to do.
    let refused = [Errno::IO, Errno::NOSPC, Errno::DQUOT];
    match Errno::from_io_error(&error) {
        Some(errno) if refused.contains(&errno) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::env::{Disk, OpenMode, RealDisk};

    #[test]
    fn a_thread_steps_back_alone() {
        let io_class = || {
            // SAFETY: as above; the call only returns a number.
            unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_THREAD, 0) >> 13 }
        };
        let before = io_class();
        let beside = thread::spawn(move || {
            step_back(3);
            (io_class(), rustix::process::nice(0).expect("it is read"))
        });
        let (class, nice) = beside.join().expect("no panic");
        assert_eq!((class, io_class()), (3, before));
        assert_eq!(nice, rustix::process::nice(0).expect("it is read") + 3);
    }

    #[test]
    fn only_a_thread_that_has_stepped_back_gives_way() {
        give_way();
        assert_eq!(UNTIL_GIVING_WAY.get(), None);
        let beside = thread::spawn(|| {
            step_back(0);
            (0..=PIECES_BETWEEN).for_each(|_| give_way());
            UNTIL_GIVING_WAY.get()
        });
        assert_eq!(beside.join().expect("no panic"), Some(PIECES_BETWEEN));
    }

    #[test]
    fn bytes_are_handed_over_as_they_are() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("1.segment");
        for mode in [OpenMode::Create, OpenMode::CreateInPlace] {
            let file = RealDisk.open(&path, mode).expect("room");
            file.write_at(b"hello", 3).expect("room");
            file.write_out(3, 5).expect("room");
            assert_eq!(std::fs::read(&path).expect("there"), b"\0\0\0hello");
        }
    }
}
