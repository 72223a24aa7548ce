//! A receiver of webhooks, which checks each with the reference library of Standard Webhooks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::wait_for;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// A receiver in a process of its own, which can be killed and started again at the same address.
pub struct Receiver {
    dir: TempDir,
    port: u16,
    secret: &'static str,
    certificate: Option<(PathBuf, PathBuf)>,
    process: Option<Child>,
}

impl Receiver {
    /// Starts a receiver that checks with `secret`, by TLS where it has a certificate and a key.
    pub fn start(secret: &'static str, certificate: Option<(PathBuf, PathBuf)>) -> Self {
        let mut receiver = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            port: 0,
            secret,
            certificate,
            process: None,
        };
        receiver.answer_with("200");
        receiver.run();
        receiver
    }

    /// Starts a receiver without TLS.
    pub fn plain() -> Self {
        Self::start(SECRET, None)
    }

    /// Starts it once more, at the address that it had.
    pub fn run(&mut self) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events/receive.py");
        let mut command = Command::new(python());
        command
            .arg(here)
            .arg(self.port.to_string())
            .args([self.mode(), self.notes_path()])
            .arg(self.secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some((certificate, key)) = &self.certificate {
            command.args([certificate, key]);
        }
        let mut process = command.spawn().expect("it runs");
        let mut line = String::new();
        let out = process.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        self.port = line.trim().parse().expect("a port");
        self.process = Some(process);
    }

    /// Ends it: whoever connects is refused.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it runs");
        process.wait().expect("a child");
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn mode(&self) -> PathBuf {
        self.dir.path().join("mode")
    }

    fn notes_path(&self) -> PathBuf {
        self.dir.path().join("notes")
    }

    /// What messages are answered with from now on.
    pub fn answer_with(&self, mode: &str) {
        let unfinished = self.dir.path().join("mode.new");
        fs::write(&unfinished, mode).expect("a file");
        fs::rename(unfinished, self.mode()).expect("a file");
    }

    /// The notes that begin with this word.
    pub fn notes(&self, word: &str) -> Vec<String> {
        let notes = fs::read_to_string(self.notes_path()).unwrap_or_default();
        let whole = notes.rfind('\n').map_or("", |end| &notes[..end]);
        let noted = whole.lines().filter_map(|line| line.strip_prefix(word));
        noted.map(|rest| rest.trim().to_owned()).collect()
    }

    /// The events that it has taken, in the order of their coming.
    pub fn events(&self) -> Vec<Value> {
        let events = self.notes("event");
        let parse = |event: &String| serde_json::from_str(event).expect("JSON");
        events.iter().map(parse).collect()
    }

    /// Its address.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!(
            "{scheme}://localhost:{}/hook?key=not-to-be-shown",
            self.port
        )
    }

    /// It as an endpoint of the configuration.
    pub fn endpoint(&self) -> Value {
        json!({"url": self.url(), "secret": SECRET, "allow_private": true})
    }

    /// Waits until it has the last of the events `told`, and asserts that it has all from one of the first `before` on, in order, some
    /// perhaps more than once. Where it began depends on which was first, the endpoint or the sale.
    pub fn wait_for_all(&self, told: &[Value], before: usize) {
        wait_for("all events", || {
            (self.events().last() == told.last()).then_some(())
        });
        let place = |event: &Value| {
            let place = told.iter().position(|known| known == event);
            place.unwrap_or_else(|| panic!("{event} was never told"))
        };
        let received = self.events();
        let mut next = place(&received[0]);
        assert!(next <= before, "{} is left out", told[before]);
        for event in &received {
            // What was sent again begins where something was sent before.
            let place = place(event);
            assert!(place <= next, "{} is left out", told[next]);
            next = next.max(place + 1);
        }
        assert_eq!(next, told.len());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// A program of what `tests/events/requirements.txt` names, which `scripts/test` installs.
pub fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let python = target.expect("a parent").join("tools/events/bin/python3");
    assert!(
        python.exists(),
        "{} is missing: scripts/test installs it",
        python.display()
    );
    python
}
