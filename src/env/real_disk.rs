//! The machine's own file system.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::{Errno, pread};

use super::background;
use super::direct_file::DirectFile;
use super::disk::{AsyncWriter, Disk, DiskFile, FileId, OpenMode};
use super::ring_writer::RingWriter;

/// Permissions of new directories, for their owner only: a reader of an unused code could spend it.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// Returns whether there is nothing at `path`, or a directory without anything in it.
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

    /// Returns whether nobody but its owner may read or write the file at `path`.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn is_private(&self, path: &Path) -> io::Result<bool> {
        Ok(fs::metadata(path)?.mode() & 0o077 == 0)
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

    fn list_irregular(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let (Some(kind), Ok(name)) = (
                irregular_kind(entry.file_type()?),
                entry.file_name().into_string(),
            ) {
                found.push((name, kind));
            }
        }
        Ok(found)
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        Ok(id(&fs::metadata(path)?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let create = matches!(mode, OpenMode::Create | OpenMode::CreateInPlace);
        let file = File::options()
            .read(true)
            .write(mode != OpenMode::Read)
            .create(create)
            .truncate(create)
            .mode(FILE_MODE)
            .custom_flags(without_waiting(OFlags::empty()))
            .open(path)?;
        check_regular(&file)?;
        if mode == OpenMode::CreateInPlace {
            forbid_copying(&file);
        }
        if matches!(mode, OpenMode::CreateInPlace | OpenMode::ReadWrite) {
            return match DirectFile::beside(file, path) {
                Ok(file) => Ok(Box::new(file)),
                Err(file) => Ok(Box::new(file)),
            };
        }
        Ok(Box::new(file))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = File::options()
            .read(true)
            .custom_flags(without_waiting(OFlags::DIRECTORY))
            .open(dir)?;
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
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .custom_flags(without_waiting(OFlags::NOFOLLOW))
            .open(path)?;
        check_regular(&file)?;
        let locked = DiskFile::try_lock(&file)?;
        Ok(locked.then(|| Box::new(file) as Box<dyn DiskFile>))
    }

    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        Some(Box::new(RingWriter::new().ok()?))
    }
}

/// Asks for a file that is not copied on write. It must be empty. Most file systems never copy, and know
/// nothing of the flag.
fn forbid_copying(file: &File) {
    if let Ok(flags) = ioctl_getflags(file) {
        let _ = ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}

/// With these flags opening a FIFO or a device does not wait for somebody at its other end.
fn without_waiting(flags: OFlags) -> i32 {
    (flags | OFlags::NONBLOCK).bits().cast_signed()
}

fn check_regular(file: &File) -> io::Result<()> {
    match irregular_kind(file.metadata()?.file_type()) {
        None => Ok(()),
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {kind}, and no regular file"),
        )),
    }
}

/// Returns the kind of an entry that is no regular file.
fn irregular_kind(kind: fs::FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
        kind if kind.is_symlink() => Some("a symbolic link"),
        kind if kind.is_fifo() => Some("a FIFO"),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_block_device() || kind.is_char_device() => Some("a device"),
        _ => Some("of an unknown kind"),
    }
}

fn id(metadata: &fs::Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// Returns the directory that the entry of `path` is in.
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

    fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        buffer.clear();
        buffer.reserve_exact(length);
        while buffer.len() < length {
            let at = offset + buffer.len() as u64;
            match pread(self, spare_capacity(buffer), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        buffer.truncate(length);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn write_out(&self, offset: u64, length: u64) -> io::Result<()> {
        background::write_out(self, offset, length)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id(&self.metadata()?))
    }

    fn try_lock(&self) -> io::Result<bool> {
        match File::try_lock(self) {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error))
                if is_unsupported(&error) && self.metadata()?.is_dir() =>
            {
                Ok(true)
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        File::unlock(self)
    }
}

/// Returns whether the error is that of a file system that locks only files which are open for writing, or no
/// directories.
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::BADF, Errno::INVAL, Errno::ISDIR, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error))
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
    fn a_lock_that_is_a_fifo_or_a_link_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a FIFO");
        std::os::unix::fs::symlink("elsewhere", &link).expect("a link");
        fs::create_dir(dir.path().join("dir")).expect("a directory");
        for path in [&fifo, &link, &dir.path().join("dir")] {
            assert!(RealDisk.try_lock(path).is_err(), "{}", path.display());
        }
        for mode in [OpenMode::Read, OpenMode::ReadWrite, OpenMode::Create] {
            let refused = RealDisk.open(&fifo, mode).map(drop).expect_err("no file");
            assert_eq!(refused.to_string(), "it is a FIFO, and no regular file");
        }
        let mut found = RealDisk.list_irregular(dir.path()).expect("readable");
        found.sort_unstable();
        let named = |(name, kind): &(String, &'static str)| format!("{name} is {kind}");
        let found: Vec<_> = found.iter().map(named).collect();
        let expected = [
            "dir is a directory",
            "fifo is a FIFO",
            "link is a symbolic link",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_is_locked_once_and_known_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("1.segment");
        let first = RealDisk.open(&path, OpenMode::Create).expect("room");
        let second = RealDisk.open(&path, OpenMode::Read).expect("there");
        assert!(first.try_lock().expect("possible"));
        assert!(!second.try_lock().expect("possible"));
        first.unlock().expect("possible");
        assert!(second.try_lock().expect("possible"));
        let known = first.id().expect("open");
        assert_eq!(RealDisk.id_of(&path).expect("there"), known);
        RealDisk
            .rename(&path, &dir.path().join("2.segment"))
            .expect("room");
        let _other = RealDisk.open(&path, OpenMode::Create).expect("room");
        assert_ne!(RealDisk.id_of(&path).expect("there"), known);

        let handles = [(); 2].map(|()| RealDisk.open_dir(dir.path()).expect("there"));
        assert!(handles[0].try_lock().expect("possible"));
        assert!(!handles[1].try_lock().expect("possible"));
        assert_eq!(
            RealDisk.id_of(dir.path()).expect("there"),
            handles[1].id().expect("open")
        );
    }

    #[test]
    fn an_entry_is_in_the_directory_above() {
        let of = |path| parent(Path::new(path));
        assert_eq!(of("data/journal"), Path::new("data"));
        assert_eq!((of("journal"), of("/")), (Path::new("."), Path::new("/")));
    }
}
