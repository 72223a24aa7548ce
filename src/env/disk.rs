//! The disk, as the journal sees it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    ReadWrite,
    /// A new file; one of the same name is emptied.
    Create,
}

/// A file system: the few operations that the journal needs.
pub trait Disk: Send + Sync {
    /// Makes `path` and its missing parents, durably and for this user alone.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in `dir`, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file, replacing the target.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file at `path` for as long as the returned file lives; `None` when another
    /// process has it.
    ///
    /// # Errors
    /// As the operating system says.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>>;
}

/// An open file, read and written at given offsets.
pub trait DiskFile: Send + Sync {
    /// Reads into `buf` from `offset` until it is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// As the operating system says; a part may have been written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system says. What was written since the last success may be lost, even if
    /// a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn length_bytes(&self) -> io::Result<u64>;
}

/// The whole of a file that is small.
///
/// # Errors
/// As the operating system says, or the file has more than `bytes_max`.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    // One more, so that a file that is too long is known.
    let mut bytes = vec![0; bytes_max + 1];
    let read = file.read_at(&mut bytes, 0)?;
    if read > bytes_max {
        let what = format!("has more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// What is made is for its owner: whoever reads a code that is not used yet can spend it.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// Whether there is nothing at `path`, or a directory without anything in it.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn is_free(&self, path: &Path) -> io::Result<bool> {
        match fs::read_dir(path) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Removes the directory at `path` with all that is in it.
    ///
    /// # Errors
    /// As the operating system says. A part may be gone.
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)?;
        for dir in missing {
            self.sync_dir(parent(dir))?;
        }
        // Whoever made it before us may have died ahead of this.
        match self.sync_dir(parent(path)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let create = mode == OpenMode::Create;
        let file = File::options()
            .read(true)
            .write(mode != OpenMode::Read)
            .create(create)
            .truncate(create)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Where the entry of `path` is.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

impl DiskFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match FileExt::read_at(self, &mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let journal = dir.path().join("data/journal");
        RealDisk.create_dir_all(&journal).expect("room");
        RealDisk.create_dir_all(&journal).expect("there already");
        let file = journal.join("1.segment");
        RealDisk.open(&file, OpenMode::Create).expect("room");
        let lock = journal.join("lock");
        RealDisk.try_lock(&lock).expect("nobody has it");
        assert_eq!(
            (mode(&journal), mode(&dir.path().join("data"))),
            (0o700, 0o700)
        );
        assert_eq!((mode(&file), mode(&lock)), (0o600, 0o600));
    }

    #[test]
    fn an_entry_is_in_the_directory_above() {
        let of = |path| parent(Path::new(path));
        assert_eq!(of("data/journal"), Path::new("data"));
        assert_eq!((of("journal"), of("/")), (Path::new("."), Path::new("/")));
    }
}
