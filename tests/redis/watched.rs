//! A disk that tells when somebody reads from a snapshot.

use std::io;
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Disk, DiskFile, FileId, OpenMode, SimulatedDisk};

type Look = Arc<dyn Fn() + Send + Sync>;

pub struct Watched {
    disk: SimulatedDisk,
    look: Look,
}

impl Watched {
    pub fn new(disk: SimulatedDisk, look: impl Fn() + Send + Sync + 'static) -> Self {
        let look = Arc::new(look);
        Self { disk, look }
    }
}

impl Disk for Watched {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(path, mode)?;
        if path.extension().is_none_or(|kind| kind != "snapshot") {
            return Ok(file);
        }
        let look = Arc::clone(&self.look);
        Ok(Box::new(WatchedFile { file, look }))
    }

    fn list_irregular(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        self.disk.list_irregular(dir)
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        self.disk.id_of(path)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        self.disk.try_lock(path)
    }
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    look: Look,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (self.look)();
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.file.length_bytes()
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}
