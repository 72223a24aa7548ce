//! A disk in memory that can lose power, run out of room and fail, as a seed says.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::entropy::splitmix64;
use super::simulated_writer::SimulatedWriter;
use super::{AsyncWriter, Disk, DiskFile, FileId, OpenMode};

/// The unit that a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// A disk in memory for tests. Written bytes are seen at once, but survive [`Self::crash`] for
/// certain only when they were synced; of the rest each sector survives or not, as the seed says.
#[derive(Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Default)]
struct DiskState {
    files: BTreeMap<PathBuf, Arc<Mutex<FileContents>>>,
    durable_names: BTreeMap<PathBuf, Arc<Mutex<FileContents>>>,
    /// The directories that were opened, as files without contents.
    dirs: BTreeMap<PathBuf, Arc<Mutex<FileContents>>>,
    locked: Vec<FileId>,
    faults: Faults,
}

#[derive(Default)]
struct Faults {
    capacity_bytes: Option<u64>,
    syncs_until_failure: Option<u64>,
    writes_until_failure: Option<u64>,
    copies_on_write: bool,
    holds_syncs: bool,
    syncs_find_no_room: bool,
    has_async_writers: bool,
    next_write_is_short: bool,
}

#[derive(Clone, Default)]
struct FileContents {
    cached: Vec<u8>,
    durable: Vec<u8>,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a machine finds it after its power failed: names and bytes that were not synced
    /// are there or not, decided sector by sector from `seed`. Locks are free again and faults gone.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut random = seed;
        let state = self.state.lock();
        let files: BTreeMap<_, _> = state
            .durable_names
            .iter()
            .map(|(path, contents)| {
                let survived = contents.lock().after_crash(&mut random);
                (path.clone(), Arc::new(Mutex::new(survived)))
            })
            .collect();
        let state = DiskState {
            durable_names: files.clone(),
            files,
            ..DiskState::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Writes that would make all files together longer than `bytes` fail with "no space left".
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        self.state.lock().faults.capacity_bytes = bytes;
    }

    /// From now on a write takes new room also where something is overwritten, as on file systems that copy
    /// on write; without room it writes a part of what it is given, and fails.
    pub fn copy_on_write(&self) {
        self.state.lock().faults.copies_on_write = true;
    }

    /// While this is set, syncs do not come back.
    pub fn hold_syncs(&self, hold: bool) {
        self.state.lock().faults.holds_syncs = hold;
    }

    /// The sync after the next `count` ones fails, and all after it.
    pub fn fail_sync_after(&self, count: u64) {
        self.state.lock().faults.syncs_until_failure = Some(count);
    }

    /// While this is set, syncs fail for want of room, and what was written since the last one is gone.
    pub fn fail_syncs_for_room(&self, fail: bool) {
        self.state.lock().faults.syncs_find_no_room = fail;
    }

    /// The write after the next `count` ones fails, and all after it.
    pub fn fail_write_after(&self, count: u64) {
        self.state.lock().faults.writes_until_failure = Some(count);
    }

    /// From now on workers write by themselves.
    pub fn write_asynchronously(&self) {
        self.state.lock().faults.has_async_writers = true;
    }

    /// The next write of a worker comes back when half of it is written.
    pub fn cut_next_write_short(&self) {
        self.state.lock().faults.next_write_is_short = true;
    }

    /// Returns whether this write is the one that comes back short.
    pub(super) fn cuts_short(&self) -> bool {
        std::mem::take(&mut self.state.lock().faults.next_write_is_short)
    }

    /// Returns whether syncs do not come back at the moment.
    pub(super) fn holds_syncs(&self) -> bool {
        self.state.lock().faults.holds_syncs
    }

    /// Opens a file that is known by its id.
    pub(super) fn file(&self, wanted: FileId) -> Option<Box<dyn DiskFile>> {
        let contents = {
            let state = self.state.lock();
            let mut files = state.files.values();
            files.find(|contents| id(contents) == wanted).cloned()
        };
        Some(Box::new(SimulatedFile::new(self, contents?)))
    }

    /// The bytes of a file.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state
            .files
            .get(path)
            .map(|contents| contents.lock().cached.clone())
    }

    /// Replaces the bytes of a file, durably: somebody tampered with it.
    pub fn overwrite(&self, path: &Path, bytes: Vec<u8>) {
        let contents = FileContents {
            cached: bytes.clone(),
            durable: bytes,
        };
        let mut state = self.state.lock();
        let contents = Arc::new(Mutex::new(contents));
        state.files.insert(path.to_owned(), Arc::clone(&contents));
        state.durable_names.insert(path.to_owned(), contents);
    }

    /// Puts another directory with the same files in the place of `dir`.
    pub fn exchange_dir(&self, dir: &Path) {
        self.state.lock().dirs.remove(dir);
    }

    /// The paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().files.keys().cloned().collect()
    }
}

impl FileContents {
    fn after_crash(&self, random: &mut u64) -> FileContents {
        let mut survived = self.durable.clone();
        if survived.len() < self.cached.len() && splitmix64(random) & 1 == 0 {
            survived.resize(self.cached.len(), 0);
        }
        for start in (0..survived.len().min(self.cached.len())).step_by(SECTOR_BYTES) {
            let end = (start + SECTOR_BYTES)
                .min(survived.len())
                .min(self.cached.len());
            if survived[start..end] != self.cached[start..end] && splitmix64(random) & 1 == 0 {
                survived[start..end].copy_from_slice(&self.cached[start..end]);
            }
        }
        FileContents {
            cached: survived.clone(),
            durable: survived,
        }
    }
}

fn injected(what: &str) -> io::Error {
    io::Error::other(format!("injected {what} failure"))
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

/// Counts a fault down; true when it is due.
fn due(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

impl Disk for SimulatedDisk {
    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        let in_dir = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn list_irregular(&self, _dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        Ok(Vec::new())
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        let mut state = self.state.lock();
        let file = state.files.get(path).cloned();
        let has_files = state.files.keys().any(|file| file.parent() == Some(path));
        let named = file.or_else(|| has_files.then(|| state.dir(path)));
        Ok(id(&named.ok_or_else(|| not_found(path))?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        if matches!(mode, OpenMode::Create | OpenMode::CreateInPlace) {
            state.files.insert(path.to_owned(), Arc::default());
        }
        let contents = state
            .files
            .get(path)
            .cloned()
            .ok_or_else(|| not_found(path))?;
        Ok(Box::new(SimulatedFile::new(self, contents)))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        let contents = self.state.lock().dir(dir);
        Ok(Box::new(SimulatedFile::new(self, contents)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let contents = state.files.remove(from).ok_or_else(|| not_found(from))?;
        state.files.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state
            .lock()
            .files
            .remove(path)
            .map(drop)
            .ok_or_else(|| not_found(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state
            .durable_names
            .retain(|path, _| path.parent() != Some(dir));
        let in_dir = state
            .files
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        state
            .durable_names
            .extend(in_dir.map(|(path, file)| (path.clone(), Arc::clone(file))));
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        let contents = {
            let mut state = self.state.lock();
            Arc::clone(state.files.entry(path.to_owned()).or_default())
        };
        let file = SimulatedFile::new(self, contents);
        let locked = DiskFile::try_lock(&file)?;
        Ok(locked.then(|| Box::new(file) as Box<dyn DiskFile>))
    }

    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        let has_them = self.state.lock().faults.has_async_writers;
        has_them.then(|| Box::new(SimulatedWriter::new(self)) as Box<dyn AsyncWriter>)
    }
}

impl DiskState {
    fn dir(&mut self, path: &Path) -> Arc<Mutex<FileContents>> {
        Arc::clone(self.dirs.entry(path.to_owned()).or_default())
    }
}

fn id(contents: &Arc<Mutex<FileContents>>) -> FileId {
    FileId {
        device: 0,
        inode: Arc::as_ptr(contents) as u64,
    }
}

struct SimulatedFile {
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
    fn new(disk: &SimulatedDisk, contents: Arc<Mutex<FileContents>>) -> Self {
        Self {
            disk: disk.clone(),
            contents,
            is_locking: AtomicBool::new(false),
        }
    }

    fn overwrite(&self, buf: &[u8], offset: u64) {
        let mut contents = self.contents.lock();
        let (start, end) = (offset as usize, offset as usize + buf.len());
        if contents.cached.len() < end {
            contents.cached.resize(end, 0);
        }
        contents.cached[start..end].copy_from_slice(buf);
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

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + buf.len() as u64;
        {
            let mut state = self.disk.state.lock();
            if due(&mut state.faults.writes_until_failure) {
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
        if due(&mut self.disk.state.lock().faults.syncs_until_failure) {
            return Err(injected("sync"));
        }
        if self.disk.state.lock().faults.syncs_find_no_room {
            let mut contents = self.contents.lock();
            contents.cached = contents.durable.clone();
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut contents = self.contents.lock();
        contents.durable = contents.cached.clone();
        Ok(())
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.contents.lock().cached.len() as u64)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id(&self.contents))
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.state.lock();
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
            let mut state = self.disk.state.lock();
            state.locked.retain(|&locked| locked != id);
        }
        Ok(())
    }
}
