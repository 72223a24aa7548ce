//! The DevTools protocol over two pipes: a message is JSON, and ends with a zero byte.
//!
//! Written here, because the crates for it (`chromiumoxide`, `headless_chrome`) generate types for the
//! whole protocol: minutes of compilation for the twenty calls that the tests make. Pipes need no port
//! that somebody else could speak to, and the browser ends by itself when they are closed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::server::PATIENCE;

/// An event that the browser sent by itself.
#[derive(Clone, Debug)]
pub struct Event {
    session: String,
    /// What happened, `Network.loadingFailed` for instance.
    pub method: String,
    pub params: Value,
}

#[derive(Default)]
struct Inbox {
    answers: HashMap<u64, Value>,
    events: Vec<Event>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

/// A connection to a browser.
pub struct Wire {
    to: Mutex<Box<dyn Write + Send>>,
    shared: Arc<Shared>,
    calls: AtomicU64,
}

impl Wire {
    /// Speaks to a browser that reads `to` and writes `from`.
    pub fn new(to: impl Write + Send + 'static, from: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        thread::spawn(move || receive(BufReader::new(from), &ours));
        Self {
            to: Mutex::new(Box::new(to)),
            shared,
            calls: AtomicU64::new(1),
        }
    }

    /// Calls `method` of the browser itself (`session` is empty then) or of a page, and waits for its
    /// result; what was wrong, when it was refused.
    pub fn call(&self, session: &str, method: &str, params: Value) -> Result<Value, String> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": params});
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut to = self.to.lock().expect("no panic");
        let sent = to.write_all(&bytes).and_then(|()| to.flush());
        drop(to);
        sent.map_err(|error| format!("{method}: the browser has gone: {error}"))?;
        let mut answer = self.wait_for_answer(id, method)?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}")),
            None => Ok(answer["result"].take()),
        }
    }

    fn wait_for_answer(&self, id: u64, method: &str) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut inbox = self.shared.inbox.lock().expect("no panic");
        loop {
            if let Some(answer) = inbox.answers.remove(&id) {
                return Ok(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if inbox.ended || left.is_zero() {
                return Err(format!("{method}: the browser does not answer"));
            }
            let waited = self.shared.changed.wait_timeout(inbox, left);
            inbox = waited.expect("no panic").0;
        }
    }

    /// What has happened in the page `session` so far.
    pub fn events(&self, session: &str) -> Vec<Event> {
        let inbox = self.shared.inbox.lock().expect("no panic");
        let events = inbox.events.iter();
        events
            .filter(|event| event.session == session)
            .cloned()
            .collect()
    }
}

fn receive(mut from: impl BufRead, shared: &Shared) {
    let mut bytes = Vec::new();
    while matches!(from.read_until(0, &mut bytes), Ok(1..)) {
        bytes.pop();
        if let Ok(message) = serde_json::from_slice(&bytes) {
            let mut inbox = shared.inbox.lock().expect("no panic");
            inbox.add(message);
            shared.changed.notify_all();
        }
        bytes.clear();
    }
    shared.inbox.lock().expect("no panic").ended = true;
    shared.changed.notify_all();
}

impl Inbox {
    fn add(&mut self, mut message: Value) {
        if let Some(id) = message["id"].as_u64() {
            self.answers.insert(id, message);
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.events.push(Event {
            session: text(&message["sessionId"]),
            method: text(&message["method"]),
            params: message["params"].take(),
        });
    }
}
