//! Durable writes by `io_uring`: begun with one system call, and done when the ring's descriptor is readable, which the
//! worker's own event loop tells. No thread waits, and nobody has to be woken by another one.
//!
//! The only module, beside `allocator` and `background`, with code that the compiler cannot check: the kernel reads the buffer of a
//! write after the call that began it.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use io_uring::{IoUring, opcode, types};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::aligned_buffer::AlignedBuffer;
use super::disk::{AsyncWriter, DiskFile};

/// One write is on its way at a time.
const ENTRIES: u32 = 1;

/// A ring of the thread that made it.
pub(super) struct RingWriter {
    ring: AsyncFd<IoUring>,
    buffer: AlignedBuffer,
    on_its_way: Option<Write>,
    /// The kernel has refused an entry that may still be in the ring. Nothing is put behind it.
    is_broken: bool,
}

/// A write that the kernel has. It keeps the file open, and with that locked.
struct Write {
    _file: Arc<File>,
    length: usize,
}

impl RingWriter {
    /// Creates a ring. Must be called on a thread with a tokio runtime.
    ///
    /// # Errors
    /// The kernel has no rings, or a container forbids them.
    pub(super) fn new() -> io::Result<Self> {
        // Without interrupting the thread: it looks at the ring when it comes to its event loop.
        let ring = IoUring::builder()
            .setup_coop_taskrun()
            .setup_single_issuer()
            .build(ENTRIES)?;
        // SAFETY: a ring has one descriptor for as long as it lives, and `AsyncFd` owns it until then.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self {
            ring: ring.map_err(|error| error.into_parts().1)?,
            buffer: AlignedBuffer::default(),
            on_its_way: None,
            is_broken: false,
        })
    }

    /// Takes the result of the write out of the ring, if it is there.
    fn take_result(&mut self) -> Option<io::Result<()>> {
        let entry = self.ring.get_mut().completion().next()?;
        let length = self.on_its_way.take()?.length;
        Some(match usize::try_from(entry.result()) {
            Ok(written) if written == length => Ok(()),
            // A part: the rest is up to somebody who can wait for it.
            Ok(_) => Err(io::ErrorKind::Interrupted.into()),
            Err(_) => Err(io::Error::from_raw_os_error(-entry.result())),
        })
    }
}

impl AsyncWriter for RingWriter {
    fn begin(&mut self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> bool {
        assert!(self.on_its_way.is_none(), "one write at a time");
        let (Some(file), Ok(length)) = (file.direct(bytes, offset), u32::try_from(bytes.len()))
        else {
            return false;
        };
        if self.is_broken {
            return false;
        }
        self.buffer.fill(bytes);
        let descriptor = types::Fd(file.as_raw_fd());
        let write = opcode::Write::new(descriptor, self.buffer.bytes().as_ptr(), length)
            .offset(offset)
            .build();
        let ring = self.ring.get_mut();
        // SAFETY: the buffer and the file must stay as they are until the kernel has told the result. The buffer is
        // filled again, and the file let go, only where nothing is on its way; `drop` waits for the result, and where
        // even that fails, it leaves both to the kernel for good.
        let pushed = unsafe { ring.submission().push(&write) };
        if pushed.is_err() || !matches!(ring.submit(), Ok(1)) {
            self.is_broken = true;
            return false;
        }
        self.on_its_way = Some(Write {
            _file: file,
            length: bytes.len(),
        });
        true
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(result) = self.take_result() {
                return Poll::Ready(result);
            }
            match ready!(self.ring.poll_read_ready(cx)) {
                Ok(mut readable) => readable.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn wait_written(&mut self) -> io::Result<()> {
        loop {
            if let Some(result) = self.take_result() {
                return result;
            }
            match self.ring.get_ref().submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

impl Drop for RingWriter {
    fn drop(&mut self) {
        if self.on_its_way.is_some() && self.wait_written().is_err() && self.on_its_way.is_some() {
            mem::forget((self.on_its_way.take(), mem::take(&mut self.buffer)));
        }
    }
}
