//! A server of our own for one run: the real binary on a free port, with a journal that is thrown away.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The time that the server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two checks of a server that ends.
const LOOK: Duration = Duration::from_millis(10);

/// The settings of every server, over those of the environment. All records are kept, because the
/// audit wants to see each of them.
const SETTINGS: [(&str, &str); 8] = [
    ("SERVER_HOST", "127.0.0.1"),
    ("SERVER_PORT", "0"),
    ("SERVER_CONNECTIONS_PER_PEER", "0"),
    ("JOURNAL_DIR", "journal"),
    ("JOURNAL_RETAIN_HOURS", "8760"),
    ("SALE_INTERVAL_SECONDS", "31536000"),
    ("LOG_FORMAT", "json"),
    ("LOG_LEVEL", "info"),
];

/// A server that ends with this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

/// The server's binary beside this one.
///
/// # Errors
/// There is none.
pub fn beside_this() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("flashsale");
    if path.is_file() {
        Ok(path)
    } else {
        let what = format!(
            "there is no {}; build it, or name one with --server",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::NotFound, what))
    }
}

impl Server {
    /// Starts `binary` with a sale of `items`, in a new directory of the system's temporary one, and waits
    /// until it listens.
    ///
    /// # Errors
    /// The binary cannot be run, or ends before it listens; then with what it said.
    pub fn start(binary: &Path, items: u32) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("flashsale-perf-")
            .tempdir()?;
        let mut child = Command::new(binary)
            .envs(SETTINGS)
            .env("SALE_TOTAL_ITEMS", items.to_string())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", binary.display()))
            })?;
        let lines = lines_of(&mut child);
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        // From here on it is ended whatever happens.
        let mut server = Self {
            child,
            address: unspecified,
            dir,
        };
        server.address = listening(&lines)?;
        Ok(server)
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its journal.
    #[must_use]
    pub fn journal_dir(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// Asks it to end and waits until it has. The journal stays until this is dropped.
    ///
    /// # Errors
    /// The server ended with an error, or does not end.
    pub fn stop(&mut self) -> io::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && self.child.try_wait()?.is_none()
        {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(io::Error::other(format!("the server ended with {status}")));
                }
                None => thread::sleep(LOOK),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the server does not end",
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the output of the process to its end, so that the process never waits for a reader.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody listens once the address is known.
                let _ = sender.send(line);
            }
        });
    }
    receiver
}

fn listening(lines: &Receiver<String>) -> io::Result<SocketAddr> {
    let deadline = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Some(address) = address_in(&line) {
            return Ok(address);
        }
        said.push(line);
    }
    Err(io::Error::other(format!(
        "the server does not listen: {}",
        said.join("\n")
    )))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let rest = entry["message"]
        .as_str()?
        .strip_prefix("listening on http://")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let error = Server::start("/nowhere/flashsale".as_ref(), 10).expect_err("no such file");
        assert!(error.to_string().contains("/nowhere/flashsale"), "{error}");
    }

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = r#"{"level":"INFO","message":"listening on http://127.0.0.1:4711","workers":2}"#;
        assert_eq!(
            address_in(line),
            Some(SocketAddr::from(([127, 0, 0, 1], 4711)))
        );
        assert_eq!(address_in("listening on http://127.0.0.1:4711"), None);
    }
}
