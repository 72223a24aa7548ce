//! The real binary in a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

/// How long anything may take before the test gives up. Nothing is expected to take it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Settings of every server, unless a test says otherwise. The sale lasts a year, so that no test
/// runs across its end by accident.
const SETTINGS: [(&str, &str); 6] = [
    ("SERVER_HOST", "127.0.0.1"),
    ("SERVER_PORT", "0"),
    ("JOURNAL_DIR", "journal"),
    ("JOURNAL_SEGMENT_MEBIBYTES", "4"),
    ("SALE_INTERVAL_SECONDS", "31536000"),
    ("LOG_FORMAT", "json"),
];

/// Polls `look` until it gives something; panics with `what` when that takes too long.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A directory in which the binary is run, and what it is run with.
pub struct Place {
    dir: TempDir,
    program: PathBuf,
    first_arguments: Vec<String>,
    settings: Vec<(String, String)>,
}

impl Place {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let given = SETTINGS.iter().chain(settings);
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            program: env!("CARGO_BIN_EXE_flashsale").into(),
            first_arguments: Vec::new(),
            settings: given.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }

    /// Changes a setting for whatever is run from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// A place whose binary is run by `program`, behind these arguments: with other limits of the system, say.
    pub fn behind(program: &str, arguments: &[&str]) -> Self {
        let mut place = Self::new(&[("SERVER_WORKERS", "2")]);
        let arguments = [arguments, &[env!("CARGO_BIN_EXE_flashsale")]].concat();
        place.use_program(program.into(), &arguments);
        place
    }

    /// Runs another binary from now on, with these arguments before all others.
    pub fn use_program(&mut self, program: PathBuf, arguments: &[&str]) {
        self.program = program;
        self.first_arguments = arguments.iter().map(|&it| it.to_owned()).collect();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn journal_dir(&self) -> PathBuf {
        self.path().join("journal")
    }

    /// The token of administration that the server has drawn.
    pub fn drawn_token(&self) -> Option<String> {
        fs::read_to_string(self.journal_dir().join("admin.token")).ok()
    }

    /// The binary with `arguments` and the settings, and nothing else from this environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.first_arguments)
            .args(arguments)
            .env_clear()
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let mut process = Process::start(&mut command);
        // At the same time: a pipe that nobody reads would stop it.
        let out = process.child.stdout.take().expect("piped");
        let reader = thread::spawn(move || std::io::read_to_string(out));
        let status = process.wait();
        let stdout = reader
            .join()
            .expect("no panic")
            .expect("UTF-8")
            .into_bytes();
        let stderr = process.log().into_bytes();
        Output {
            status,
            stdout,
            stderr,
        }
    }

    /// Runs the binary, which must succeed; what it printed.
    pub fn report(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs the binary, which must fail; its exit code and what it said.
    pub fn failure(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?} succeeded: {said}");
        (output.status.code(), said)
    }

    /// The journal's segments, in order.
    pub fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.journal_dir()).expect("a journal");
        let files = entries.map(|entry| entry.expect("a directory entry").path());
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "segment");
        let mut segments: Vec<_> = files.filter(is_segment).collect();
        segments.sort();
        segments
    }
}

/// Lines that a process has written to its standard error so far, and whether there will be more.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

/// A process that does not outlive this.
struct Process {
    child: Child,
    log: Arc<Log>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let process = Self {
            child,
            log: Arc::default(),
        };
        let log = Arc::clone(&process.log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                log.lines.lock().expect("no panic").0.push(line);
                log.changed.notify_all();
            }
            log.lines.lock().expect("no panic").1 = true;
            log.changed.notify_all();
        });
        process
    }

    fn log(&self) -> String {
        self.log.lines.lock().expect("no panic").0.join("\n")
    }

    /// Waits for a line that `wanted` makes something of; `None` when the process ended without.
    fn wait_for_line<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().expect("no panic");
        loop {
            if let Some(found) = lines.0.iter().find_map(|line| wanted(line)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self
                .log
                .changed
                .wait_timeout(lines, left)
                .expect("no panic")
                .0;
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        // An error means that the process has ended, which is what the caller will see.
        let _ = kill_process(Pid::from_raw(id).expect("not 0"), signal);
    }

    /// Waits until the process has ended by itself and all it said has been read.
    fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the end of a process", || {
            self.child.try_wait().expect("a child")
        });
        wait_for("the end of a log", || {
            self.log.lines.lock().expect("no panic").1.then_some(())
        });
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of process {}\n{}", self.child.id(), self.log());
        }
    }
}

/// A server that listens.
pub struct Server {
    place: Place,
    process: Process,
    addr: SocketAddr,
}

impl Server {
    /// Starts a server in a new directory.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Place::new(settings))
    }

    /// Starts a server in `place`, and waits until it listens.
    pub fn start_in(place: Place) -> Self {
        let (process, addr) = launch(&place);
        Self {
            place,
            process,
            addr,
        }
    }

    /// Starts a server in `place`, and does not wait for anything.
    pub fn begin_in(place: Place) -> Self {
        Self {
            process: begin(&place),
            place,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// As [`Server::start_in`]; its exit code and what it said when it ended instead.
    pub fn try_start_in(place: Place) -> Result<Self, (Option<i32>, String)> {
        let mut process = begin(&place);
        match process.wait_for_line(listening_address) {
            Some(addr) => Ok(Self {
                place,
                process,
                addr,
            }),
            None => Err((process.wait().code(), process.log())),
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// A new connection, for whoever knows the token of administration that the server has drawn, if it has.
    pub fn client(&self) -> Client {
        let client = Client::connect(self.addr).expect("a connection");
        client.with_token(self.token())
    }

    /// The token of administration that the server has drawn.
    pub fn token(&self) -> Option<String> {
        self.place.drawn_token()
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line of the log that contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        let found = self
            .process
            .wait_for_line(|line| line.contains(text).then_some(()));
        assert!(found.is_some(), "{text:?} was not logged");
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the server has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Ends the server as a power cut would: without a chance to do anything.
    pub fn kill_9(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Asks the server to end and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Starts the server again in the same directory; it must have ended.
    pub fn restart(&mut self) {
        let ended = self.process.child.try_wait().expect("a child");
        assert!(ended.is_some(), "the server still runs");
        (self.process, self.addr) = launch(&self.place);
    }

    /// Ends the server and leaves its directory.
    pub fn stop(mut self) -> Place {
        assert!(self.terminate().success(), "a clean end");
        self.place
    }

    /// Leaves the directory of a server that has ended.
    pub fn leave(self) -> Place {
        self.place
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.place.set(key, value);
    }

    /// Waits until a server that was begun listens.
    pub fn wait_until_listening(&mut self) {
        let listening = self.process.wait_for_line(listening_address);
        self.addr = listening.expect("the server listens");
    }

    /// Begins to start the server again in the same directory, and does not wait for anything; it must have ended.
    pub fn begin_again(&mut self) {
        self.process = begin(&self.place);
    }

    /// Ends the server as a power cut would, and leaves its directory.
    pub fn crash(mut self) -> Place {
        self.kill_9();
        self.place
    }
}

fn begin(place: &Place) -> Process {
    let mut command = place.command(&["serve"]);
    // Nothing reads it, and a full pipe would stop the server.
    command.stdout(Stdio::null());
    Process::start(&mut command)
}

fn launch(place: &Place) -> (Process, SocketAddr) {
    let process = begin(place);
    let listening = process.wait_for_line(listening_address);
    let addr = listening.expect("the server listens");
    (process, addr)
}

/// The address that a line of the log says the server listens on.
pub fn listening_address(line: &str) -> Option<SocketAddr> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let message = entry["message"].as_str()?;
    let url = message.strip_prefix("listening on ")?;
    let address = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    address?.split(' ').next()?.parse().ok()
}
