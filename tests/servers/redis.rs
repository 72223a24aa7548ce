//! A real redis-server in a directory of its own. Included by every test crate that needs one.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test gives up. Nothing is expected to take it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stands before the settings of a sentinel.
const SENTINEL: &str = "# sentinel";

/// A server that does not outlive this. It may be a sentinel or a node of a cluster.
pub struct RedisServer {
    dir: TempDir,
    settings: Vec<String>,
    port: u16,
    tls: bool,
    password: Option<String>,
    child: Child,
}

/// An answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Nil,
    Status(String),
    Error(String),
    Number(i64),
    Text(String),
    List(Vec<Answer>),
}

impl Answer {
    /// The text or the status, or the number written down.
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) | Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn number(&self) -> i64 {
        self.text().parse().expect("a number")
    }

    pub fn list(&self) -> &[Answer] {
        match self {
            Self::List(list) => list,
            other => panic!("no list: {other:?}"),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

impl RedisServer {
    /// A server without persistence, password or encryption.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with more settings, each a line as in `redis.conf`. `requirepass` is noted for
    /// [`Self::command`]. With `tls`, see [`Self::start_tls`].
    pub fn start_with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|line| (*line).to_owned()).collect();
        Self::launch(tempfile::tempdir().expect("a directory"), settings, false)
    }

    /// A server that speaks TLS only, with `cert.pem` and `key.pem`.
    pub fn start_tls(certificate: &str, key: &str, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|line| (*line).to_owned());
        Self::launch_tls(certificate, key, settings.collect())
    }

    /// A sentinel that speaks TLS only.
    pub fn start_tls_sentinel(certificate: &str, key: &str, settings: &[String]) -> Self {
        let mut lines = vec![SENTINEL.to_owned()];
        lines.extend_from_slice(settings);
        Self::launch_tls(certificate, key, lines)
    }

    fn launch_tls(certificate: &str, key: &str, mut settings: Vec<String>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("cert.pem"), certificate).expect("writable");
        fs::write(dir.path().join("key.pem"), key).expect("writable");
        let files = [
            "tls-cert-file cert.pem",
            "tls-key-file key.pem",
            "tls-auth-clients no",
        ];
        settings.extend(files.map(str::to_owned));
        Self::launch(dir, settings, true)
    }

    fn launch(dir: TempDir, settings: Vec<String>, tls: bool) -> Self {
        let password = settings
            .iter()
            .find_map(|line| Some(line.strip_prefix("requirepass ")?.to_owned()));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port();
            if let Some(child) = spawn(dir.path(), &settings, port, tls) {
                return Self {
                    dir,
                    settings,
                    port,
                    tls,
                    password,
                    child,
                };
            }
            assert!(Instant::now() < deadline, "no free port, or wrong settings");
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a sentinel: `settings` are lines as in `sentinel.conf`.
    pub fn start_sentinel(settings: &[String]) -> Self {
        let mut lines = vec![SENTINEL.to_owned()];
        lines.extend_from_slice(settings);
        Self::launch(tempfile::tempdir().expect("a directory"), lines, false)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Ends the server as a power cut would.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    /// Ends the server in good order.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.child.wait().expect("a child");
    }

    /// Starts the server again on its port, with what is on its disk; it must have ended. The port may
    /// be somebody else's for a moment.
    pub fn restart(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(child) = spawn(self.dir.path(), &self.settings, self.port, self.tls) {
                self.child = child;
                return;
            }
            assert!(Instant::now() < deadline, "the port stays taken");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the process where it stands, connections and all.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Runs one command, as the user whom `requirepass` is for. Not over TLS.
    pub fn command(&self, words: &[&str]) -> Answer {
        self.try_command(words).expect("an answer")
    }

    /// As [`Self::command`], of a server that may cut the connection: one does whose role changes.
    pub fn try_command(&self, words: &[&str]) -> io::Result<Answer> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.password {
            let answer = exchange(&mut stream, &["AUTH", password])?;
            assert!(!answer.is_error(), "{answer:?}");
        }
        exchange(&mut stream, words)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- log of redis-server on port {}\n{log}", self.port);
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A server that is ready, or `None` where it ended before it was: its port was taken meanwhile.
fn spawn(dir: &Path, settings: &[String], port: u16, tls: bool) -> Option<Child> {
    let log = dir.join("log");
    // A log that was begun by an earlier one must not be taken for this one's.
    let _ = fs::remove_file(&log);
    let (plain, encrypted) = if tls { (0, port) } else { (port, 0) };
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        "save \"\"".into(),
        "logfile log".into(),
        format!("dir {}", dir.display()),
        format!("port {plain}"),
        format!("tls-port {encrypted}"),
    ];
    lines.extend(settings.iter().cloned());
    let is_sentinel = lines.iter().any(|line| line == SENTINEL);
    if is_sentinel {
        lines.retain(|line| !line.starts_with("save"));
    }
    if lines.iter().any(|line| line == "cluster-enabled yes") {
        // The usual one, 10000 above the other, may be too high for a port.
        lines.push(format!("cluster-port {}", free_port()));
    }
    let file = dir.join("redis.conf");
    fs::write(&file, lines.join("\n") + "\n").expect("writable");
    let mut child = Command::new("redis-server")
        .arg(&file)
        .args(is_sentinel.then_some("--sentinel"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if said.contains("eady to accept connections") || said.contains("Sentinel ID is") {
            return Some(child);
        }
        if child.try_wait().expect("a child").is_some() {
            return None;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("redis-server does not get ready: {said}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn exchange(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<Answer> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    stream.get_mut().write_all(&request)?;
    match stream.fill_buf()?.is_empty() {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(answer(stream)),
    }
}

fn answer(stream: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    let rest = line.trim_end().get(1..).expect("an answer").to_owned();
    let number = || rest.parse::<i64>().expect("a number");
    match line.as_bytes()[0] {
        b'+' => Answer::Status(rest),
        b'-' => Answer::Error(rest),
        b':' => Answer::Number(number()),
        b'$' if number() < 0 => Answer::Nil,
        b'$' => {
            let mut bytes = vec![0; number() as usize + 2];
            stream.read_exact(&mut bytes).expect("an answer");
            bytes.truncate(bytes.len() - 2);
            Answer::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        b'*' if number() < 0 => Answer::Nil,
        b'*' => Answer::List((0..number()).map(|_| answer(stream)).collect()),
        _ => panic!("an answer that is none: {line:?}"),
    }
}
