//! The signals that end the server, and those that do not.

use std::future::poll_fn;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::thread::Builder;

use rustix::process::Signal;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{self, SignalKind, signal};

use super::logging;
use crate::runtime::Shutdown;

/// Reads anew what can be read anew while the server runs, and says of each in a few words what that was, or why
/// that failed.
pub(super) type OnHangup = Box<dyn FnMut() -> Vec<Result<String, String>> + Send>;

/// The thread that hears signals, from the start of the process to its end.
pub(super) struct Signals {
    serving: Arc<AtomicBool>,
    told: Receiver<()>,
}

impl Signals {
    /// Starts the thread. SIGTERM and others that ask for the end end the process at once while nothing is served
    /// yet; later the first of them gives the `shutdown`, and the next one hurries it. SIGHUP ends nothing, so
    /// that closing a terminal does not end a sale, and neither does a signal without a meaning.
    ///
    /// # Errors
    /// The operating system has no thread, or no signal handler, to give.
    pub(super) fn listen(shutdown: &Shutdown, on_hangup: OnHangup) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let serving = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let listening = Listening {
            sources: SignalSources::listen(&runtime)?,
            serving: Arc::clone(&serving),
            shutdown: shutdown.clone(),
            on_hangup,
        };
        Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(listening.run(&tell)))?;
        Ok(Self { serving, told })
    }

    /// From now on there are buyers who must not be dropped.
    pub(super) fn serve(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Blocks until the shutdown was given: by a signal, or by a worker that could not go on.
    pub(super) fn wait(&self) {
        // An error says that the thread has ended, and then nobody would hear a signal.
        let _ = self.told.recv();
    }
}

/// The action of the server at a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Ends in good order.
    End,
    /// Reads anew what can be read anew.
    ReadAnew,
    /// Nothing: somebody has taken it for another program.
    None,
}

#[derive(Clone, Copy)]
struct Heard {
    name: &'static str,
    meaning: Meaning,
}

/// The signals that would end the process without a word, but those of its own faults.
const SIGNALS: [(Signal, &str, Meaning); 12] = [
    (Signal::TERM, "SIGTERM", Meaning::End),
    (Signal::INT, "SIGINT", Meaning::End),
    (Signal::QUIT, "SIGQUIT", Meaning::End),
    (
        Signal::XCPU,
        "SIGXCPU (the processor time of LimitCPU, ulimit -t, is used up)",
        Meaning::End,
    ),
    (Signal::POWER, "SIGPWR (power fails)", Meaning::End),
    (Signal::HUP, "SIGHUP", Meaning::ReadAnew),
    (Signal::USR1, "SIGUSR1", Meaning::None),
    (Signal::USR2, "SIGUSR2", Meaning::None),
    (Signal::ALARM, "SIGALRM", Meaning::None),
    (Signal::VTALARM, "SIGVTALRM", Meaning::None),
    (Signal::PROF, "SIGPROF", Meaning::None),
    (Signal::IO, "SIGIO", Meaning::None),
];

/// Makes a write beyond the limit of a file's length (`ulimit -f`) an error, in every command. By default it is a
/// signal that ends the process without a word.
///
/// # Errors
/// The operating system has no signal handler to give.
pub fn survive_file_size_limit() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // The handler stays when its receiver is gone. A signal with a handler leaves the write to fail.
    signal(kind(Signal::XFSZ)).map(drop)
}

fn kind(signal: Signal) -> SignalKind {
    SignalKind::from_raw(signal.as_raw())
}

struct SignalSources(Vec<(unix::Signal, Heard)>);

impl SignalSources {
    fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        let listen = |(of, name, meaning)| Ok((signal(kind(of))?, Heard { name, meaning }));
        SIGNALS
            .into_iter()
            .map(listen)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The next signal.
    async fn next(&mut self) -> Heard {
        poll_fn(|context| {
            let heard = self
                .0
                .iter_mut()
                .find_map(|(source, heard)| source.poll_recv(context).is_ready().then_some(*heard));
            heard.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

struct Listening {
    sources: SignalSources,
    serving: Arc<AtomicBool>,
    shutdown: Shutdown,
    on_hangup: OnHangup,
}

impl Listening {
    async fn run(mut self, tell: &Sender<()>) {
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                heard = self.sources.next() => self.hear(heard),
                () = shutdown.begun() => break,
            }
        }
        let _ = tell.send(());
        loop {
            let heard = self.sources.next().await;
            self.hear(heard);
        }
    }

    fn hear(&mut self, Heard { name, meaning }: Heard) {
        match meaning {
            Meaning::ReadAnew => {
                for outcome in (self.on_hangup)() {
                    match outcome {
                        Ok(done) => tracing::info!("{name}: {done}"),
                        Err(failed) => tracing::error!("{name}: {failed}"),
                    }
                }
            }
            Meaning::None => tracing::warn!("{name} means nothing to this server, which goes on"),
            Meaning::End => self.end(name),
        }
    }

    fn end(&self, name: &str) {
        if !self.serving.load(Ordering::Acquire) {
            tracing::info!("{name} during the start: nothing is served yet, leaving at once");
            logging::flush();
            // As safe as a kill: whatever was being written is settled by the next start.
            process::exit(0);
        } else if self.shutdown.has_begun() {
            tracing::warn!("{name} again: not waiting for connections any more");
            self.shutdown.make_urgent();
        } else {
            tracing::info!("{name}: draining");
            self.shutdown.begin();
        }
    }
}
