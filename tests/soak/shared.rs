//! State that the threads of a run share: where the server is, and what they learned of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::client::Answer;

/// A server that answers nobody for so long has not run in between, or was not there.
const SILENCE: Duration = Duration::from_millis(300);

/// What became of a code, for ever.
#[derive(Clone)]
pub struct Settled {
    pub code: String,
    pub key: Option<String>,
    /// The answer to whoever asks without a key, and with it.
    pub without_key: (u16, String),
    pub with_key: (u16, String),
}

/// State that the threads of a run share.
pub struct Shared {
    /// `None` while there is no server.
    pub address: Mutex<Option<SocketAddr>>,
    pub stopped: AtomicBool,
    /// Codes of ended sales.
    pub settled: Mutex<Vec<Settled>>,
    pub requests: AtomicU64,
    /// Answers by status and code of the error; a success has none.
    answers: Mutex<BTreeMap<(u16, String), u64>>,
    pulse: Mutex<Pulse>,
}

/// When the server answered.
struct Pulse {
    last: Timestamp,
    silences: Vec<(Timestamp, Timestamp)>,
}

impl Shared {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address: Mutex::new(Some(address)),
            stopped: AtomicBool::new(false),
            settled: Mutex::default(),
            requests: AtomicU64::new(0),
            answers: Mutex::default(),
            pulse: Mutex::new(Pulse {
                last: Timestamp::now(),
                silences: Vec::new(),
            }),
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Notes that the server answered.
    pub fn beat(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut pulse = self.pulse.lock().expect("no panic");
        let now = Timestamp::now();
        if now.duration_since(pulse.last) >= SILENCE.try_into().expect("short") {
            let last = pulse.last;
            pulse.silences.push((last, now));
        }
        pulse.last = now;
    }

    /// Counts an answer to a buyer.
    pub fn count(&self, answer: &Answer) {
        let code = match answer.status {
            200 => String::new(),
            _ => answer.error(),
        };
        let mut answers = self.answers.lock().expect("no panic");
        *answers.entry((answer.status, code)).or_default() += 1;
    }

    pub fn answers(&self) -> BTreeMap<(u16, String), u64> {
        self.answers.lock().expect("no panic").clone()
    }

    /// Whether the server was silent for a while somewhere between the two.
    pub fn was_silent(&self, from: Timestamp, until: Timestamp) -> bool {
        let pulse = self.pulse.lock().expect("no panic");
        let mut silences = pulse.silences.iter();
        silences.any(|&(begin, end)| begin <= until && from <= end)
    }
}
