//! A proxy that loses what a network can lose, at the moment that a test chooses.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to the next `COMMIT` that passes, or to the next append to a replicated log, which commits by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtCommit {
    /// Nothing.
    Pass,
    /// It does not arrive: the connection is cut before.
    Lose,
    /// It arrives, but its answer does not: the connection is cut in between.
    LoseAnswer,
}

/// Forwards connections to a Postgres server.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    refuses: Mutex<bool>,
    at_commit: Mutex<AtCommit>,
    commits: AtomicUsize,
    delay_ms: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy in front of the server at `target` on this machine.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            target,
            refuses: Mutex::new(false),
            at_commit: Mutex::new(AtCommit::Pass),
            commits: AtomicUsize::new(0),
            delay_ms: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                ours.accept(client);
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on, hang up on whoever connects, or not.
    pub fn refuse(&self, refuses: bool) {
        *self.shared.refuses.lock().expect("no panic") = refuses;
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Delays every piece that passes.
    pub fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).expect("short");
        self.shared.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Says what happens to the next `COMMIT`, once.
    pub fn at_commit(&self, what: AtCommit) {
        *self.shared.at_commit.lock().expect("no panic") = what;
    }

    /// How often something has happened to one.
    pub fn commits_lost(&self) -> usize {
        self.shared.commits.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        if *self.refuses.lock().expect("no panic") {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else {
            return;
        };
        let muted = Arc::new(Mutex::new(false));
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
        let mut open = self.open.lock().expect("no panic");
        open.extend([clone(&client), clone(&server)]);
        let (to_server, from_server) = (clone(&server), server);
        let (to_client, from_client) = (clone(&client), client);
        let (ours, mute) = (Arc::clone(self), Arc::clone(&muted));
        thread::spawn(move || ours.forward_requests(from_client, to_server, &mute));
        let ours = Arc::clone(self);
        thread::spawn(move || ours.forward_answers(from_server, to_client, &muted));
    }

    fn forward_requests(&self, mut client: TcpStream, mut server: TcpStream, muted: &Mutex<bool>) {
        let mut messages = Messages::default();
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            self.wait_a_little();
            if messages.feed(&buffer[..read]) {
                let what = std::mem::replace(
                    &mut *self.at_commit.lock().expect("no panic"),
                    AtCommit::Pass,
                );
                if what != AtCommit::Pass {
                    self.commits.fetch_add(1, Ordering::SeqCst);
                }
                match what {
                    AtCommit::Pass => {}
                    AtCommit::Lose => break,
                    // Whatever comes from now on is the answer.
                    AtCommit::LoseAnswer => *muted.lock().expect("no panic") = true,
                }
            }
            if server.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        for stream in [client, server] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn forward_answers(&self, mut server: TcpStream, mut client: TcpStream, muted: &Mutex<bool>) {
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            self.wait_a_little();
            let is_muted = *muted.lock().expect("no panic");
            if is_muted || client.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        for stream in [client, server] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait_a_little(&self) {
        let delay_ms = self.delay_ms.load(Ordering::SeqCst);
        if delay_ms > 0 {
            thread::sleep(Duration::from_millis(delay_ms));
        }
    }
}

/// Where the messages of a client begin and end. The first has no type.
#[derive(Default)]
struct Messages {
    started: bool,
    head: Vec<u8>,
    /// Bytes of the current message's body that are still to come.
    rest: usize,
    body: Vec<u8>,
}

impl Messages {
    /// Takes more bytes; whether a `COMMIT` ended among them.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut commits = false;
        while !bytes.is_empty() {
            let head_bytes = if self.started { 5 } else { 4 };
            if self.head.len() < head_bytes {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                if self.head.len() == head_bytes {
                    let length = self.head.last_chunk::<4>().expect("four bytes");
                    self.rest = u32::from_be_bytes(*length) as usize - 4;
                    self.body.clear();
                }
            }
            if self.head.len() == head_bytes {
                let taken = self.rest.min(bytes.len());
                if self.body.len() < 64 {
                    self.body.extend_from_slice(&bytes[..taken.min(64)]);
                }
                bytes = &bytes[taken..];
                self.rest -= taken;
                if self.rest == 0 {
                    commits |= self.started && is_commit(self.head[0], &self.body);
                    self.started = true;
                    self.head.clear();
                }
            }
        }
        commits
    }
}

/// Whether a message of this kind commits something.
fn is_commit(kind: u8, body: &[u8]) -> bool {
    kind == b'Q' && body == b"COMMIT\0" || kind == b'P' && body.starts_with(b"\0WITH moved AS")
}
