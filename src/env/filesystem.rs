//! The file system that a directory is on, as far as the operating system tells.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::geteuid;

use super::clock::wall_us;

/// Properties of a directory and of the file system below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// The directory; where it is missing, the nearest one above it that is there.
    pub dir: PathBuf,
    /// The directory itself exists.
    pub exists: bool,
    /// This process may write to the directory.
    pub is_writable: bool,
    /// The directory belongs to this process's user.
    pub is_own: bool,
    /// The kind of the file system, such as `ext4`; `unknown` where the system does not say.
    pub kind: String,
    /// Bytes that are free for this user.
    pub free_bytes: u64,
    /// Files that may be made; `None` where that is not bounded.
    pub free_files: Option<u64>,
    /// The disk below it, where there is one that the system knows.
    pub disk: Option<BlockDevice>,
}

/// Properties of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// The name of the device, such as `nvme0n1`.
    pub name: String,
    /// Writes may wait in a cache that loses power, until they are flushed.
    pub has_volatile_cache: bool,
    /// Single writes can pass that cache.
    pub forces_unit_access: bool,
}

impl Filesystem {
    /// Asks the operating system about `dir`, or the nearest directory above it.
    ///
    /// # Errors
    /// Something that is no directory is in the way, or as the operating system says.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let found = nearest(dir)?;
        let metadata = fs::metadata(&found)?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let room = statvfs(&found)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mount = mount_of(&mounts, &found);
        Ok(Self {
            exists: fs::metadata(dir).is_ok(),
            is_writable: access(&found, Access::WRITE_OK | Access::EXEC_OK).is_ok(),
            is_own: metadata.uid() == geteuid().as_raw(),
            kind: mount.as_ref().map_or("unknown", |it| it.kind).to_owned(),
            free_bytes: room.f_bavail * room.f_frsize,
            free_files: (room.f_files > 0).then_some(room.f_favail),
            disk: mount.and_then(|mount| block_device(mount.device)),
            dir: found,
        })
    }
}

/// The absolute path of `dir`, or of the nearest one above it that is there.
fn nearest(dir: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(dir)?;
    for candidate in absolute.ancestors() {
        match fs::canonicalize(candidate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount<'a> {
    /// Major and minor number, as `254:0`.
    device: &'a str,
    /// Where it is.
    point: String,
    kind: &'a str,
}

/// The mount that `path` lies on: the last of those with the longest path that leads to it.
fn mount_of<'a>(mounts: &'a str, path: &Path) -> Option<Mount<'a>> {
    let mut found = None;
    let mut longest = 0;
    for line in mounts.lines() {
        let Some((place, what)) = line.split_once(" - ") else {
            continue;
        };
        let mut fields = place.split_ascii_whitespace().skip(2);
        let (Some(device), Some(point)) = (fields.next(), fields.nth(1)) else {
            continue;
        };
        // Blanks and the like are written as octal numbers.
        let point = point.replace("\\040", " ");
        let kind = what.split_ascii_whitespace().next();
        if path.starts_with(&point) && point.len() >= longest {
            longest = point.len();
            found = kind.map(|kind| Mount {
                device,
                point,
                kind,
            });
        }
    }
    found
}

/// The disk with this number; of a partition, the disk that it is on.
fn block_device(number: &str) -> Option<BlockDevice> {
    let mut place = fs::canonicalize(format!("/sys/dev/block/{number}")).ok()?;
    if !place.join("queue").exists() {
        place.pop();
    }
    let read = |name: &str| fs::read_to_string(place.join("queue").join(name)).ok();
    let cache = read("write_cache")?;
    Some(BlockDevice {
        name: place.file_name()?.to_string_lossy().into_owned(),
        has_volatile_cache: cache.trim() == "write back",
        forces_unit_access: read("fua").is_some_and(|fua| fua.trim() == "1"),
    })
}

/// Returns whether another file system begins at `path`, so that nothing can be renamed to it.
///
/// # Errors
/// As the operating system says.
pub fn is_mount_point(path: &Path) -> io::Result<bool> {
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        path => path?,
    };
    let Some(parent) = path.parent() else {
        return Ok(true);
    };
    if fs::metadata(&path)?.dev() != fs::metadata(parent)?.dev() {
        return Ok(true);
    }
    // A part of the same file system may be mounted there once more.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(mount_of(&mounts, &path).is_some_and(|mount| path == Path::new(&mount.point)))
}

/// Returns where `path` leads to through symbolic links, or the path itself where nothing is there.
///
/// # Errors
/// As the operating system says.
pub fn behind_links(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        found => found,
    }
}

/// Returns where `path` leads to through symbolic links, for a directory that is to be made there, or to be replaced by
/// a rename.
///
/// # Errors
/// The directory that is to hold it is missing, or as the operating system says.
pub fn target_dir(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let absolute = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        let what = "the path has no last part";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    };
    if fs::symlink_metadata(&absolute).is_ok() {
        let what = "it is a symbolic link to something that is not there";
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    match fs::canonicalize(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("there is no directory {}: make it first", parent.display());
            Err(io::Error::new(io::ErrorKind::NotFound, what))
        }
        parent => Ok(parent?.join(name)),
    }
}

/// The newest of the journals in the directories below `parent`, and how many seconds ago that directory
/// was changed; `None` when there is none.
///
/// # Errors
/// As the operating system says; also when the newest directory cannot be looked into.
pub fn newest_journal_below(parent: &Path) -> io::Result<Option<(PathBuf, u64)>> {
    let mut newest: Option<(i64, PathBuf)> = None;
    let mut unreadable: Option<(i64, io::Error)> = None;
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let is_unfinished = path.extension().is_some_and(|end| end == "copying");
        if is_unfinished || path.ends_with("lost+found") {
            continue;
        }
        let held = holds_segments(&path);
        if matches!(held, Ok(false)) {
            continue;
        }
        let changed = fs::metadata(&path)?.mtime();
        match held {
            Ok(_) if newest.as_ref().is_none_or(|(before, _)| changed > *before) => {
                newest = Some((changed, path));
            }
            Err(error)
                if unreadable
                    .as_ref()
                    .is_none_or(|(before, _)| changed > *before) =>
            {
                unreadable = Some((changed, named(&path, &error)));
            }
            _ => {}
        }
    }
    if let Some((changed, error)) = unreadable
        && newest
            .as_ref()
            .is_none_or(|(readable, _)| changed > *readable)
    {
        return Err(error);
    }
    let now = wall_us() / 1_000_000;
    let age = |changed: i64| u64::try_from(now - changed).unwrap_or(0);
    Ok(newest.map(|(changed, path)| (path, age(changed))))
}

/// The error with the path that it is about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Returns whether `path` is a directory with segments in it.
fn holds_segments(path: &Path) -> io::Result<bool> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let entries = match fs::read_dir(path) {
        Err(error) if matches!(error.kind(), NotADirectory | NotFound) => return Ok(false),
        entries => entries?,
    };
    let mut paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.any(|path| path.extension().is_some_and(|end| end == "segment")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 27 0:40 / /srv/a\\040b rw - tmpfs tmpfs rw
31 27 0:41 / /srv rw master:1 - xfs /dev/sdb1 rw
broken
";

    #[test]
    fn the_longest_mount_is_the_one() {
        let kind = |path: &str| mount_of(MOUNTS, Path::new(path)).map(|it| (it.device, it.kind));
        assert_eq!(kind("/home/x"), Some(("254:0", "ext4")));
        assert_eq!(kind("/srv"), Some(("0:41", "xfs")));
        assert_eq!(kind("/srvx"), Some(("254:0", "ext4")));
        assert_eq!(kind("/srv/a b/journal"), Some(("0:40", "tmpfs")));
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn a_mount_point_is_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let is = |path: &Path| is_mount_point(path).expect("it can be looked at");
        assert!(is(Path::new("/")) && is(Path::new("/proc")));
        assert!(!is(dir.path()) && !is(&dir.path().join("missing")));
    }

    #[test]
    fn a_directory_to_be_made_is_where_its_links_lead_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("it is there");
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(root.join(to), root.join(name)).expect("a link");
        };
        fs::create_dir(root.join("real")).expect("a directory");
        link("real", "link");
        link("nothing", "dangling");
        for (given, leads_to) in [
            ("real", "real"),
            ("link", "real"),
            ("new", "new"),
            ("link/new", "real/new"),
            ("real/../new", "new"),
        ] {
            let found = target_dir(&root.join(given)).expect(given);
            assert_eq!(found, root.join(leads_to), "{given}");
        }
        for (given, why) in [
            ("missing/new", "missing: make it first"),
            ("dangling", "symbolic link"),
            ("dangling/new", "dangling: make it first"),
        ] {
            let error = target_dir(&root.join(given)).expect_err(given);
            assert!(error.to_string().contains(why), "{given}: {error}");
        }
    }

    #[test]
    fn a_directory_that_is_missing_is_asked_for_above() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().canonicalize().expect("it is there");
        let here = Filesystem::of(&path).expect("it is there");
        assert!(here.exists && here.is_writable && here.is_own, "{here:?}");
        assert!(here.free_bytes > 0, "{here:?}");
        let below = Filesystem::of(&path.join("a/b")).expect("it could be made");
        assert_eq!((below.dir, below.exists), (path.clone(), false));
        fs::write(path.join("file"), "").expect("a file");
        Filesystem::of(&path.join("file")).expect_err("it is a file");
        Filesystem::of(&path.join("file/below")).expect_err("it is below a file");
    }

    #[test]
    fn the_newest_backup_is_a_directory_with_segments() {
        let dir = tempfile::tempdir().expect("a directory");
        let make = |name: &str, file: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("a directory");
            fs::write(path.join(file), "").expect("a file");
            path
        };
        assert_eq!(newest_journal_below(dir.path()).expect("readable"), None);
        make("unfinished.copying", "00000000000000000001.segment");
        make("other", "notes.txt");
        assert_eq!(newest_journal_below(dir.path()).expect("readable"), None);
        let backup = make("monday", "00000000000000000001.segment");
        let (found, seconds) = newest_journal_below(dir.path())
            .expect("readable")
            .expect("one");
        assert_eq!(found, backup);
        assert!(seconds < 3600);
    }
}
