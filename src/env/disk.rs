//! The disk, as the journal sees it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The way in which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    ReadWrite,
    /// A new file; one of the same name is emptied.
    Create,
    /// A new file, as with [`Self::Create`], whose bytes will be overwritten in place: a file system that puts every
    /// write elsewhere is asked not to, so that overwriting takes no further room.
    CreateInPlace,
}

/// Tells one file or directory from all others that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system that it is on.
    pub device: u64,
    /// The number of its inode there.
    pub inode: u64,
}

/// A file system: the few operations that the journal needs.
pub trait Disk: Send + Sync {
    /// Makes `path` and its missing parents, durably and for this user alone.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names of the regular files in `dir`, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The names of everything else in `dir`, each with what it is, such as `a directory`.
    ///
    /// # Errors
    /// As the operating system says.
    fn list_irregular(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>>;

    /// The file or directory that `path` names at the moment.
    ///
    /// # Errors
    /// As the operating system says.
    fn id_of(&self, path: &Path) -> io::Result<FileId>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// As the operating system says, or it is no regular file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Opens the directory itself, to lock it and to know it again.
    ///
    /// # Errors
    /// As the operating system says.
    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>>;

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
    /// As the operating system says, or `path` names something else than a regular file.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>>;

    /// Returns a writer for the calling task, which must belong to a tokio runtime; `None` where the system has none.
    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        None
    }
}

/// Writes durably without a thread that waits, one write at a time.
pub trait AsyncWriter {
    /// Begins to write all of `bytes` at `offset`. Returns `false`, and begins nothing, where `file` cannot be written
    /// this way, or the system takes no more.
    fn begin(&mut self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> bool;

    /// Returns the result of the write that was begun.
    ///
    /// # Errors
    /// As the operating system says; a part may have been written.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Blocks until the write that was begun is done.
    ///
    /// # Errors
    /// As the operating system says; a part may have been written.
    fn wait_written(&mut self) -> io::Result<()>;
}

/// An open file, read and written at given offsets.
pub trait DiskFile: Send + Sync {
    /// Reads into `buf` from `offset` until it is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Replaces what `buffer` holds by at most `length` bytes from `offset` on, fewer where the file ends. They need not be
    /// cleared before.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        buffer.clear();
        buffer.resize(length, 0);
        let read = self.read_at(buffer, offset)?;
        buffer.truncate(read);
        Ok(())
    }

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

    /// Hands what was written at `offset` to the disk and waits until it has it, so that little is left for the sync. Makes
    /// nothing durable, and does nothing where the system cannot.
    ///
    /// # Errors
    /// As the operating system says. A later [`Self::sync_data`] may not say it again.
    fn write_out(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    /// Writes all of `buf` at `offset` and makes it durable: in one step, where that costs less than two.
    ///
    /// # Errors
    /// The errors of [`Self::write_at`] and [`Self::sync_data`].
    fn write_durably(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(buf, offset)?;
        self.sync_data()
    }

    /// Returns the file as it is open past the cache, with each write durable when it is done, if `buf` can be written so.
    fn direct(&self, _buf: &[u8], _offset: u64) -> Option<Arc<File>> {
        None
    }

    /// Returns the unit in which the file can be written past the cache, in bytes; `None` where it cannot.
    fn unit_bytes(&self) -> Option<u32> {
        None
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn length_bytes(&self) -> io::Result<u64>;

    /// Which file this is, whatever its name is by now.
    ///
    /// # Errors
    /// As the operating system says.
    fn id(&self) -> io::Result<FileId>;

    /// Locks the file for as long as this lives; `false` when it is locked by way of another opening of it.
    /// Reading and writing are not kept from anybody. A directory is not locked where the file system
    /// cannot do that, as network file systems.
    ///
    /// # Errors
    /// As the operating system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Gives the lock back.
    ///
    /// # Errors
    /// As the operating system says.
    fn unlock(&self) -> io::Result<()>;
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

/// Replaces the file `path` in `dir` by one with `bytes`, durably: a power cut leaves what was there or the whole new one.
/// It is written as `unfinished`, a file in the same directory.
///
/// # Errors
/// As the operating system says. It is not certain then which of both a power cut leaves.
pub fn replace_file(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    unfinished: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    let file = disk.open(unfinished, OpenMode::Create)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(unfinished, path)?;
    disk.sync_dir(dir)
}
