//! An open file of a simulated disk.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::entropy::splitmix64;
use super::simulated_disk::{DiskState, SimulatedDisk};
use super::simulated_faults::injected;
use super::{DiskFile, FileId};

/// The unit that a disk writes as a whole.
pub(super) const SECTOR_BYTES: usize = 512;

/// The bytes of a file: as everybody sees them, and as they are on the disk for certain. Copies share them until they are
/// written to.
#[derive(Clone, Default)]
pub(super) struct FileContents {
    cached: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// The range outside of which both are the same.
    unsynced: Range<usize>,
}

impl FileContents {
    /// Returns the contents of a file all of whose bytes are on the disk.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        Self {
            cached: Arc::clone(&bytes),
            durable: bytes,
            unsynced: 0..0,
        }
    }

    /// Returns the bytes as everybody sees them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.cached
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        let length = self.cached.len();
        let cached = Arc::make_mut(&mut self.cached);
        if length <= offset {
            cached.resize(offset, 0);
            cached.extend_from_slice(bytes);
        } else {
            cached.resize(length.max(end), 0);
            cached[offset..end].copy_from_slice(bytes);
        }
        let start = offset.min(length);
        self.unsynced = match self.unsynced.is_empty() {
            true => start..end,
            false => self.unsynced.start.min(start)..self.unsynced.end.max(end),
        };
    }

    fn sync(&mut self) {
        let Range { start, end } = std::mem::take(&mut self.unsynced);
        if start == 0 && end == self.cached.len() {
            self.durable = Arc::clone(&self.cached);
        } else if start < end {
            let durable = Arc::make_mut(&mut self.durable);
            durable.resize(self.cached.len(), 0);
            durable[start..end].copy_from_slice(&self.cached[start..end]);
        }
    }

    /// Flips bits of the byte at `place`, everywhere.
    pub(super) fn flip(&mut self, place: usize, bits: u8) {
        for bytes in [&mut self.cached, &mut self.durable] {
            if let Some(byte) = Arc::make_mut(bytes).get_mut(place) {
                *byte ^= bits;
            }
        }
    }

    fn lose_unsynced(&mut self) {
        self.cached = Arc::clone(&self.durable);
        self.unsynced = 0..0;
    }

    /// Returns the contents after a power failure: each sector that was not synced is there or not.
    pub(super) fn after_crash(&self, random: &mut u64) -> Self {
        let mut survived = Arc::clone(&self.durable);
        if survived.len() < self.cached.len() && splitmix64(random) & 1 == 0 {
            Arc::make_mut(&mut survived).resize(self.cached.len(), 0);
        }
        let end = self.unsynced.end.min(survived.len());
        let start = self.unsynced.start / SECTOR_BYTES * SECTOR_BYTES;
        for start in (start..end).step_by(SECTOR_BYTES) {
            let sector = start..(start + SECTOR_BYTES).min(survived.len());
            if survived[sector.clone()] != self.cached[sector.clone()]
                && splitmix64(random) & 1 == 0
            {
                let survived = Arc::make_mut(&mut survived);
                survived[sector.clone()].copy_from_slice(&self.cached[sector]);
            }
        }
        Self {
            cached: Arc::clone(&survived),
            durable: survived,
            unsynced: 0..0,
        }
    }
}

pub(super) fn id(contents: &Arc<Mutex<FileContents>>) -> FileId {
    FileId {
        device: 0,
        inode: Arc::as_ptr(contents) as u64,
    }
}

pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    contents: Arc<Mutex<FileContents>>,
    is_locking: AtomicBool,
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let _ = self.unlock();
    }
}

impl SimulatedFile {
    pub(super) fn new(disk: &SimulatedDisk, contents: Arc<Mutex<FileContents>>) -> Self {
        Self {
            disk: disk.clone(),
            contents,
            is_locking: AtomicBool::new(false),
        }
    }

    fn overwrite(&self, buf: &[u8], offset: u64) {
        self.contents.lock().write(buf, offset as usize);
    }

    fn check_room(&self, state: &DiskState, end: u64) -> io::Result<()> {
        let Some(capacity_bytes) = state.faults.capacity_bytes else {
            return Ok(());
        };
        let length = |contents: &Arc<Mutex<FileContents>>| contents.lock().cached.len() as u64;
        let used: u64 = state.files.values().map(length).sum();
        let grown = match state.faults.copies_on_write {
            true => 1,
            false => end.saturating_sub(length(&self.contents)),
        };
        if grown > 0 && used + grown > capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let contents = self.contents.lock();
        let start = usize::try_from(offset).map_or(usize::MAX, |o| o.min(contents.cached.len()));
        let available = &contents.cached[start.min(contents.cached.len())..];
        let read = available.len().min(buf.len());
        buf[..read].copy_from_slice(&available[..read]);
        Ok(read)
    }

    fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        let contents = self.contents.lock();
        let bytes = contents.bytes();
        let start = usize::try_from(offset).map_or(bytes.len(), |o| o.min(bytes.len()));
        let rest = &bytes[start..];
        buffer.clear();
        buffer.extend_from_slice(&rest[..length.min(rest.len())]);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + buf.len() as u64;
        {
            let mut state = self.disk.state();
            state.operate();
            if state.faults.is_write_due() {
                return Err(injected("write"));
            }
            let room = self.check_room(&state, end);
            if room.is_err() && state.faults.copies_on_write {
                self.overwrite(&buf[..buf.len() / 2], offset);
            }
            room?;
        }
        self.overwrite(buf, offset);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        while self.disk.holds_syncs() {
            thread::sleep(Duration::from_millis(1));
        }
        let finds_no_room = {
            let mut state = self.disk.state();
            state.operate();
            state.faults.take_time();
            if state.faults.is_sync_due() {
                return Err(injected("sync"));
            }
            state.faults.syncs_find_no_room
        };
        let contents = &mut *self.contents.lock();
        if finds_no_room {
            contents.lose_unsynced();
            return Err(io::ErrorKind::StorageFull.into());
        }
        contents.sync();
        Ok(())
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.contents.lock().cached.len() as u64)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id(&self.contents))
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.state();
        let id = id(&self.contents);
        if state.locked.contains(&id) {
            return Ok(self.is_locking.load(Ordering::Relaxed));
        }
        state.locked.push(id);
        self.is_locking.store(true, Ordering::Relaxed);
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        if self.is_locking.swap(false, Ordering::Relaxed) {
            let id = id(&self.contents);
            let mut state = self.disk.state();
            state.locked.retain(|&locked| locked != id);
        }
        Ok(())
    }
}
