//! The memory limit of the control group that this process is in, of either version.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory limit that the control groups of this process set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MemoryLimit {
    /// The system does not say: `/proc` or the control groups' file system is missing.
    #[default]
    Unknown,
    /// No control group bounds it.
    Unlimited,
    /// The smallest limit of the process's own group and of all above it.
    Limited {
        /// The limit, in bytes.
        bytes: u64,
        /// The directory of the group that has this limit.
        group: PathBuf,
    },
}

/// Values from here on mean "unlimited" in version 1, which writes the largest number of whole pages.
const UNLIMITED_BYTES_MIN: u64 = 1 << 62;

impl MemoryLimit {
    /// Reads the limit of this process from the files below `root`, which is `/` but in tests.
    pub(super) fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let (groups, mounts) = (text("proc/self/cgroup"), text("proc/self/mountinfo"));
        let hierarchies: Vec<_> = Hierarchy::all(&mounts, &groups);
        let mut found = Self::Unknown;
        for hierarchy in &hierarchies {
            for group in hierarchy.groups() {
                let file = root.join(&group).join(hierarchy.version.file());
                let Ok(text) = fs::read_to_string(file) else {
                    // The root of version 2 has no limit, and no file of one.
                    found = found.or_unlimited();
                    continue;
                };
                found = match text.trim().parse() {
                    Ok(bytes) if bytes < UNLIMITED_BYTES_MIN => found.least(bytes, group),
                    _ => found.or_unlimited(),
                };
            }
        }
        found
    }

    fn or_unlimited(self) -> Self {
        match self {
            Self::Unknown => Self::Unlimited,
            found => found,
        }
    }

    fn least(self, bytes: u64, group: PathBuf) -> Self {
        match self {
            Self::Limited { bytes: least, .. } if least <= bytes => self,
            _ => Self::Limited {
                bytes,
                group: Path::new("/").join(group),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn file(self) -> &'static str {
        match self {
            Self::One => "memory.limit_in_bytes",
            Self::Two => "memory.max",
        }
    }
}

/// A tree of control groups that may bound memory, with the place of this process in it.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    /// Where its root is mounted, without the leading slash.
    mount: PathBuf,
    /// The way from there to the group of this process.
    way: PathBuf,
}

impl Hierarchy {
    /// The hierarchies that `mounts` (`mountinfo`) shows, with the groups that `groups` (`cgroup`) names.
    fn all(mounts: &str, groups: &str) -> Vec<Self> {
        mounts
            .lines()
            .filter_map(|line| Self::mounted(line, groups))
            .collect()
    }

    fn mounted(line: &str, groups: &str) -> Option<Self> {
        let (place, what) = line.split_once(" - ")?;
        let mut what = what.split_ascii_whitespace();
        let (kind, options) = (what.next()?, what.nth(1)?);
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" if names(options, "memory") => Version::One,
            _ => return None,
        };
        let mut place = place.split_ascii_whitespace().skip(3);
        let (root, mount) = (place.next()?, place.next()?);
        let group = Path::new(group_of(groups, version)?);
        // In a container the file system may begin at the process's own group, or the name of the group may
        // be the host's: then nothing is known below the mount but the mount itself.
        let way = group.strip_prefix(root).unwrap_or(Path::new(""));
        let leaves = way.components().any(|part| part.as_os_str() == "..");
        Some(Self {
            version,
            mount: mount.trim_start_matches('/').into(),
            way: if leaves { PathBuf::new() } else { way.into() },
        })
    }

    /// The group of this process and all above it, as far as they are mounted.
    fn groups(&self) -> impl Iterator<Item = PathBuf> {
        self.way.ancestors().map(|way| self.mount.join(way))
    }
}

/// The group of this process in `/proc/self/cgroup`: lines as `4:memory:/shop`, and `0::/shop` in version 2.
fn group_of(groups: &str, version: Version) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        let is_it = match version {
            Version::One => names(controllers, "memory"),
            Version::Two => controllers.is_empty(),
        };
        is_it.then_some(group)
    })
}

/// Returns whether a list with commas has `name`.
fn names(list: &str, name: &str) -> bool {
    list.split(',').any(|it| it == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a system, below a temporary directory.
    struct System(tempfile::TempDir);

    impl System {
        fn new(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Self {
            let system = Self(tempfile::tempdir().expect("a temporary directory"));
            system.write("proc/self/cgroup", groups);
            system.write("proc/self/mountinfo", mounts);
            for (path, text) in files {
                system.write(path, text);
            }
            system
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("room");
            fs::write(path, text).expect("room");
        }

        fn limit(&self) -> MemoryLimit {
            MemoryLimit::read(self.0.path())
        }
    }

    fn limited(bytes: u64, group: &str) -> MemoryLimit {
        MemoryLimit::Limited {
            bytes,
            group: group.into(),
        }
    }

    const V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      32 30 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";

    #[test]
    fn the_limit_of_the_service_and_not_of_the_root_is_found() {
        // systemd's MemoryMax is the limit of the service's own group.
        let service = "sys/fs/cgroup/system.slice/flashsale.service/memory.max";
        let slice = "sys/fs/cgroup/system.slice/memory.max";
        let groups = "0::/system.slice/flashsale.service\n";
        let system = System::new(groups, V2, &[(service, "536870912\n"), (slice, "max\n")]);
        let group = "/sys/fs/cgroup/system.slice/flashsale.service";
        assert_eq!(system.limit(), limited(512 << 20, group));
        system.write(slice, "268435456\n");
        let group = "/sys/fs/cgroup/system.slice";
        assert_eq!(
            system.limit(),
            limited(256 << 20, group),
            "the slice's is less"
        );
        system.write(service, "max\n");
        system.write(slice, "max\n");
        assert_eq!(system.limit(), MemoryLimit::Unlimited);
    }

    #[test]
    fn an_unlimited_group_of_version_1_is_not_8_796_093_022_207_mebibytes() {
        let root = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        let own = "sys/fs/cgroup/memory/shop/memory.limit_in_bytes";
        let unlimited = "9223372036854771712\n";
        let groups = "5:cpu,cpuacct:/\n4:memory:/shop\n0::/\n";
        let system = System::new(groups, V1, &[(root, unlimited), (own, unlimited)]);
        assert_eq!(system.limit(), MemoryLimit::Unlimited);
        // With pages of 64 KiB.
        system.write(own, "9223372036854710272");
        assert_eq!(system.limit(), MemoryLimit::Unlimited);
        system.write(own, "268435456\n");
        let expected = limited(256 << 20, "/sys/fs/cgroup/memory/shop");
        assert_eq!(system.limit(), expected);
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let mounts = "32 30 0:28 /docker/7f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let file = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        let expected = limited(64 << 20, "/sys/fs/cgroup/memory/");
        for group in ["/docker/7f", "/", "/../elsewhere", "/kubepods/pod1"] {
            let groups = format!("4:memory:{group}\n");
            let system = System::new(&groups, mounts, &[(file, "67108864\n")]);
            assert_eq!(system.limit(), expected, "{group}");
        }
    }

    #[test]
    fn nothing_is_known_where_proc_is_missing() {
        let empty = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(MemoryLimit::read(empty.path()), MemoryLimit::Unknown);
        let system = System::new("0::/\n", "", &[]);
        assert_eq!(system.limit(), MemoryLimit::Unknown, "nothing is mounted");
        let system = System::new("0::/\n", V2, &[]);
        assert_eq!(system.limit(), MemoryLimit::Unlimited, "the root itself");
        for torn in ["x", " - ", "1 2 3 - cgroup2", "a b c / /sys - cgroup2 x y"] {
            System::new("0:", torn, &[]).limit();
        }
    }
}
