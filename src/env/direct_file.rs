//! A file that is also open past the kernel's cache, so that one call writes a batch and makes it durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};

use super::aligned_buffer::AlignedBuffer;
use super::disk::{DiskFile, FileId};

/// A file that is open twice: through the kernel's cache, and past it (`O_DIRECT`) with every write durable when it
/// returns (`O_DSYNC`). The second costs a write and its sync a fifth less processor time
/// (`docs/decisions/0021-writing-past-the-cache.md`).
///
/// It is locked by way of the second opening. The kernel keeps that open for as long as a write is on its way, also
/// when the process is gone: who gets the lock afterwards knows that nothing is written any more.
pub(super) struct DirectFile {
    cached: File,
    direct: Arc<File>,
    unit_bytes: u32,
    buffer: Mutex<AlignedBuffer>,
}

impl DirectFile {
    /// Opens the file at `path` once more; gives `cached` back where the disk cannot be written past the cache, or
    /// `path` names another file by now.
    pub(super) fn beside(cached: File, path: &Path) -> Result<Self, File> {
        let Some(unit_bytes) = unit_bytes(&cached) else {
            return Err(cached);
        };
        let flags = OFlags::DIRECT | OFlags::DSYNC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let opened = File::options()
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        match opened {
            Ok(direct) if is_same(&direct, &cached) && wait_from_now_on(&direct).is_ok() => {
                Ok(Self {
                    cached,
                    direct: Arc::new(direct),
                    unit_bytes,
                    buffer: Mutex::default(),
                })
            }
            _ => Err(cached),
        }
    }

    fn is_aligned(&self, bytes: &[u8], offset: u64) -> bool {
        let unit_bytes = u64::from(self.unit_bytes);
        offset.is_multiple_of(unit_bytes) && (bytes.len() as u64).is_multiple_of(unit_bytes)
    }
}

fn is_same(one: &File, other: &File) -> bool {
    matches!((DiskFile::id(one), DiskFile::id(other)), (Ok(one), Ok(other)) if one == other)
}

/// Makes the writes of a file that was opened without waiting wait: on some file systems they would be refused instead.
fn wait_from_now_on(file: &File) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags - OFlags::NONBLOCK)?)
}

/// Returns the unit in which a file can be written past the cache, as the kernel says (since Linux 6.1).
fn unit_bytes(file: &File) -> Option<u32> {
    let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let is_told = found.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    (is_told && found.stx_dio_offset_align > 0).then_some(found.stx_dio_offset_align)
}

impl DiskFile for DirectFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        DiskFile::read_at(&self.cached, buf, offset)
    }

    fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        DiskFile::read_into(&self.cached, buffer, offset, length)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        DiskFile::write_at(&self.cached, buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        DiskFile::sync_data(&self.cached)
    }

    fn write_out(&self, offset: u64, length: u64) -> io::Result<()> {
        DiskFile::write_out(&self.cached, offset, length)
    }

    fn write_durably(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if !self.is_aligned(buf, offset) {
            self.write_at(buf, offset)?;
            return self.sync_data();
        }
        let mut buffer = self.buffer.lock();
        buffer.fill(buf);
        self.direct.write_all_at(buffer.bytes(), offset)
    }

    fn direct(&self, buf: &[u8], offset: u64) -> Option<Arc<File>> {
        self.is_aligned(buf, offset)
            .then(|| Arc::clone(&self.direct))
    }

    fn unit_bytes(&self) -> Option<u32> {
        Some(self.unit_bytes)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        DiskFile::length_bytes(&self.cached)
    }

    fn id(&self) -> io::Result<FileId> {
        DiskFile::id(&self.cached)
    }

    fn try_lock(&self) -> io::Result<bool> {
        DiskFile::try_lock(&*self.direct)
    }

    fn unlock(&self) -> io::Result<()> {
        DiskFile::unlock(&*self.direct)
    }
}
