//! Resource limits that the operating system sets to this process.

use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Limits of this process (`setrlimit`); `None` where there is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Open files, as far as the process may raise that by itself.
    pub open_files: Option<u64>,
    /// The length of a file that is written, in bytes.
    pub file_bytes: Option<u64>,
    /// Processor time of all threads together, in seconds.
    pub cpu_seconds: Option<u64>,
}

impl ResourceLimits {
    /// Asks the operating system.
    #[must_use]
    pub fn read() -> Self {
        Self {
            open_files: getrlimit(Resource::Nofile).maximum,
            file_bytes: getrlimit(Resource::Fsize).current,
            cpu_seconds: getrlimit(Resource::Cpu).current,
        }
    }
}

/// Shows an error of the operating system; where it comes from a limit of this process, with the limit and the
/// way out.
#[derive(Clone, Copy, Debug)]
pub struct WithLimit<'a>(pub &'a io::Error);

impl fmt::Display for WithLimit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let limits = ResourceLimits::read();
        let code = self.0.raw_os_error().map(Errno::from_raw_os_error);
        match (code, limits.file_bytes, limits.open_files) {
            (Some(Errno::FBIG), Some(bytes), _) => write!(
                f,
                "; this process may not write files of more than {bytes} bytes (RLIMIT_FSIZE): raise the \
                 limit with LimitFSIZE=infinity in the systemd unit, or `ulimit -f unlimited`"
            ),
            (Some(Errno::FBIG), None, _) => {
                write!(
                    f,
                    "; the file system does not take files of this length: use another one"
                )
            }
            (Some(Errno::MFILE), _, Some(files)) => write!(
                f,
                "; this process may have {files} open files (RLIMIT_NOFILE): raise the limit with LimitNOFILE= \
                 in the systemd unit, `ulimit -n`, or --ulimit nofile of the container"
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_limit_names_the_limit_and_the_way_out() {
        let shown = |errno: Errno| WithLimit(&io::Error::from(errno)).to_string();
        let too_many = shown(Errno::MFILE);
        let files = ResourceLimits::read().open_files;
        let is_named = too_many.contains("RLIMIT_NOFILE") && too_many.contains("LimitNOFILE=");
        assert_eq!(is_named, files.is_some(), "{too_many}");
        assert!(shown(Errno::FBIG).contains("; "), "{}", shown(Errno::FBIG));
        let other = io::Error::from(Errno::IO);
        assert_eq!(WithLimit(&other).to_string(), other.to_string());
    }
}
