//! A disk in memory that can lose power, run out of room and fail, as a seed says.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::entropy::splitmix64;
use super::simulated_faults::Faults;
use super::simulated_file::{FileContents, SimulatedFile, id};
use super::simulated_writer::SimulatedWriter;
use super::{AsyncWriter, Disk, DiskFile, FileId, ManualClock, OpenMode};

type Contents = Arc<Mutex<FileContents>>;
/// Files by their paths, as texts: those are compared faster than paths.
type Names = BTreeMap<String, Contents>;

/// A disk in memory for tests. Written bytes are seen at once, but survive [`Self::crash`] for
/// certain only when they were synced; of the rest each sector survives or not, as the seed says.
#[derive(Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Default)]
pub(super) struct DiskState {
    pub(super) files: Names,
    durable_names: Names,
    /// The changes of names that are not durable, the oldest first.
    name_changes: Vec<NameChange>,
    /// The directories that were opened, as files without contents.
    dirs: Names,
    pub(super) locked: Vec<FileId>,
    pub(super) faults: Faults,
    /// The disk as the power failure has left it.
    crashed: Option<SimulatedDisk>,
}

/// A file came, went, or got another name.
struct NameChange {
    removed: Option<String>,
    added: Option<(String, Contents)>,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a machine finds it after its power failed: names and bytes that were not synced
    /// are there or not, decided from `seed`: bytes sector by sector, and of the changes of names the first ones. Locks are
    /// free again and faults gone.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        self.state().after_crash(seed)
    }

    /// The disk as the next process finds it after this one was killed. What the killed one still does to its disk does
    /// nothing to this one. Locks are free again and faults gone.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        let mut copies = BTreeMap::new();
        let mut copy = |contents: &Contents| {
            let copied = copies.entry(Arc::as_ptr(contents));
            let copied = copied.or_insert_with(|| Arc::new(Mutex::new(contents.lock().clone())));
            Arc::clone(copied)
        };
        let mut copied = |names: &Names| {
            let pairs = names.iter().map(|(path, it)| (path.clone(), copy(it)));
            pairs.collect::<Names>()
        };
        let (files, durable_names) = (copied(&state.files), copied(&state.durable_names));
        let name_changes = state.name_changes.iter().map(|change| NameChange {
            removed: change.removed.clone(),
            added: change
                .added
                .as_ref()
                .map(|(path, it)| (path.clone(), copy(it))),
        });
        let name_changes = name_changes.collect();
        Self::of(DiskState {
            files,
            durable_names,
            name_changes,
            ..DiskState::default()
        })
    }

    /// Lets the power fail before the operation that follows the next `operations` ones. What is done afterwards does
    /// nothing to the disk that [`Self::take_crashed`] returns; `seed` decides as in [`Self::crash`].
    pub fn fail_power_after(&self, operations: u64, seed: u64) {
        self.state().faults.power = Some((operations, seed));
    }

    /// Returns the disk after its power has failed, once.
    #[must_use]
    pub fn take_crashed(&self) -> Option<Self> {
        self.state().crashed.take()
    }

    /// Returns whether the power has failed.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.state().crashed.is_some()
    }

    /// Lets each sync take `micros` of the time of `clock`.
    pub fn set_sync_time(&self, clock: Arc<ManualClock>, micros: i64) {
        self.state().faults.latency = Some((clock, micros));
    }

    /// Lets the machine sleep for `micros` of the time of `clock` in the middle of the next sync.
    pub fn sleep_in_next_sync(&self, clock: Arc<ManualClock>, micros: i64) {
        self.state().faults.sleep = Some((clock, micros));
    }

    fn of(state: DiskState) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock()
    }

    /// Writes that would make all files together longer than `bytes` fail with "no space left".
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        self.state().faults.capacity_bytes = bytes;
    }

    /// From now on a write takes new room also where something is overwritten, as on file systems that copy
    /// on write; without room it writes a part of what it is given, and fails.
    pub fn copy_on_write(&self) {
        self.state().faults.copies_on_write = true;
    }

    /// While this is set, syncs do not come back.
    pub fn hold_syncs(&self, hold: bool) {
        self.state().faults.holds_syncs = hold;
    }

    /// The sync after the next `count` ones fails, and all after it.
    pub fn fail_sync_after(&self, count: u64) {
        self.state().faults.syncs_until_failure = Some(count);
    }

    /// While this is set, syncs fail for want of room, and what was written since the last one is gone.
    pub fn fail_syncs_for_room(&self, fail: bool) {
        self.state().faults.syncs_find_no_room = fail;
    }

    /// The write after the next `count` ones fails, and all after it.
    pub fn fail_write_after(&self, count: u64) {
        self.state().faults.writes_until_failure = Some(count);
    }

    /// From now on workers write by themselves.
    pub fn write_asynchronously(&self) {
        self.state().faults.has_async_writers = true;
    }

    /// From now on a write of a worker is asked for in vain `times` times more before it is done.
    pub fn delay_writes(&self, times: u32) {
        self.state().faults.write_delays = times;
    }

    /// Returns how often more a write is asked for in vain.
    pub(super) fn write_delays(&self) -> u32 {
        self.state().faults.write_delays
    }

    /// The next write of a worker comes back when half of it is written.
    pub fn cut_next_write_short(&self) {
        self.state().faults.next_write_is_short = true;
    }

    /// Returns whether this write is the one that comes back short.
    pub(super) fn cuts_short(&self) -> bool {
        std::mem::take(&mut self.state().faults.next_write_is_short)
    }

    /// Returns whether syncs do not come back at the moment.
    pub(super) fn holds_syncs(&self) -> bool {
        self.state().faults.holds_syncs
    }

    /// Opens a file that is known by its id.
    pub(super) fn file(&self, wanted: FileId) -> Option<Box<dyn DiskFile>> {
        let contents = {
            let state = self.state();
            let mut files = state.files.values();
            files.find(|contents| id(contents) == wanted).cloned()
        };
        Some(Box::new(SimulatedFile::new(self, contents?)))
    }

    /// The bytes of a file.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let contents = state.files.get(name(path));
        contents.map(|contents| contents.lock().bytes().to_vec())
    }

    /// Replaces the bytes of a file, durably: somebody tampered with it.
    pub fn overwrite(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let contents = Arc::new(Mutex::new(FileContents::durable(bytes)));
        let name = name(path).to_owned();
        state.files.insert(name.clone(), Arc::clone(&contents));
        state.durable_names.insert(name, contents);
    }

    /// Flips one bit of a file at rest: the one at `bit`, counted from the beginning of the file, which is that long.
    pub fn flip_bit(&self, path: &Path, bit: u64) {
        let state = self.state();
        let contents = state.files.get(name(path)).expect("the file is there");
        contents.lock().flip((bit / 8) as usize, 1 << (bit % 8));
    }

    /// Puts another directory with the same files in the place of `dir`.
    pub fn exchange_dir(&self, dir: &Path) {
        self.state().dirs.remove(name(dir));
    }

    /// The paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().files.keys().map(PathBuf::from).collect()
    }
}

/// Returns a path as a text.
fn name(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are texts")
}

/// Returns the name of the file `path` in `dir`; `None` where it is elsewhere.
fn name_in<'a>(dir: &str, path: &'a str) -> Option<&'a str> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    (parent == dir).then_some(name)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

impl Disk for SimulatedDisk {
    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let in_dir = state.files.keys();
        let in_dir = in_dir.filter_map(|path| name_in(name(dir), path));
        Ok(in_dir.map(str::to_owned).collect())
    }

    fn list_irregular(&self, _dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        Ok(Vec::new())
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        let mut state = self.state();
        let file = state.files.get(name(path)).cloned();
        let below = format!("{}/", name(path));
        let from = (Bound::Included(below.as_str()), Bound::Unbounded);
        let mut files = state.files.range::<str, _>(from);
        let has_files = files
            .next()
            .is_some_and(|(file, _)| file.starts_with(&below));
        let named = file.or_else(|| has_files.then(|| state.dir(path)));
        Ok(id(&named.ok_or_else(|| not_found(path))?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if matches!(mode, OpenMode::Create | OpenMode::CreateInPlace) {
            state.rename(None, Some((name(path).to_owned(), Arc::default())));
        }
        let contents = state.files.get(name(path)).cloned();
        let contents = contents.ok_or_else(|| not_found(path))?;
        Ok(Box::new(SimulatedFile::new(self, contents)))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        let contents = self.state().dir(dir);
        Ok(Box::new(SimulatedFile::new(self, contents)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let contents = state.files.get(name(from)).cloned();
        let contents = contents.ok_or_else(|| not_found(from))?;
        let (from, to) = (name(from).to_owned(), name(to).to_owned());
        state.rename(Some(from), Some((to, contents)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.files.contains_key(name(path)) {
            return Err(not_found(path));
        }
        state.rename(Some(name(path).to_owned()), None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate();
        let state = &mut *state;
        let is_in_dir = |path: &str| name_in(name(dir), path).is_some();
        let changes = std::mem::take(&mut state.name_changes);
        let (durable, other) = changes
            .into_iter()
            .partition(|change| is_in_dir(change.path()));
        state.name_changes = other;
        let durable: Vec<NameChange> = durable;
        for change in &durable {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        let contents = {
            let state = &mut *self.state();
            let contents = state.files.entry(name(path).to_owned()).or_default();
            let durable = state.durable_names.entry(name(path).to_owned());
            durable.or_insert_with(|| Arc::clone(contents));
            Arc::clone(contents)
        };
        let file = SimulatedFile::new(self, contents);
        let locked = DiskFile::try_lock(&file)?;
        Ok(locked.then(|| Box::new(file) as Box<dyn DiskFile>))
    }

    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        let has_them = self.state().faults.has_async_writers;
        has_them.then(|| Box::new(SimulatedWriter::new(self)) as Box<dyn AsyncWriter>)
    }
}

impl NameChange {
    /// Returns a path whose directory is the one that the change is in.
    fn path(&self) -> &str {
        let added = self.added.as_ref().map(|(path, _)| path);
        added.or(self.removed.as_ref()).map_or("", String::as_str)
    }

    fn apply(&self, names: &mut Names) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, contents)) = &self.added {
            names.insert(path.clone(), Arc::clone(contents));
        }
    }
}

impl DiskState {
    fn dir(&mut self, path: &Path) -> Contents {
        Arc::clone(self.dirs.entry(name(path).to_owned()).or_default())
    }

    /// Notes that an operation on the disk begins.
    pub(super) fn operate(&mut self) {
        if let Some(seed) = self.faults.due_power_failure() {
            self.crashed = Some(self.after_crash(seed));
        }
    }

    fn rename(&mut self, removed: Option<String>, added: Option<(String, Contents)>) {
        self.operate();
        let change = NameChange { removed, added };
        change.apply(&mut self.files);
        self.name_changes.push(change);
    }

    fn after_crash(&self, seed: u64) -> SimulatedDisk {
        let mut random = seed;
        let mut names = self.durable_names.clone();
        let changes = self.name_changes.len() as u64;
        let survivors = splitmix64(&mut random) % (changes + 1);
        for change in &self.name_changes[..survivors as usize] {
            change.apply(&mut names);
        }
        let files: BTreeMap<_, _> = names
            .iter()
            .map(|(path, contents)| {
                let survived = contents.lock().after_crash(&mut random);
                (path.clone(), Arc::new(Mutex::new(survived)))
            })
            .collect();
        SimulatedDisk::of(DiskState {
            durable_names: files.clone(),
            files,
            ..DiskState::default()
        })
    }
}
