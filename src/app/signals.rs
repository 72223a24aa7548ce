//! The signals that end the server, and the one that does not.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logging;
use crate::runtime::Shutdown;

/// Reads anew what can be read anew while the server runs, and says in a few words what that was, or why that
/// failed.
pub(super) type OnHangup = Box<dyn FnMut() -> Result<String, String> + Send>;

/// The thread that hears signals, from the start of the process to its end.
pub(super) struct Signals {
    serving: Arc<AtomicBool>,
    told: Receiver<()>,
}

impl Signals {
    /// Starts the thread. SIGTERM, SIGINT and SIGQUIT end the process at once while nothing is served yet;
    /// later the first of them gives the `shutdown`, and the next one hurries it. SIGHUP ends nothing, so
    /// that closing a terminal does not end a sale.
    ///
    /// # Errors
    /// The operating system has no thread, or no signal handler, to give.
    pub(super) fn listen(shutdown: &Shutdown, on_hangup: OnHangup) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let serving = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let listening = Listening {
            sources: Sources::listen(&runtime)?,
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

struct Sources {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

impl Sources {
    fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The name of the next signal.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
            _ = self.hangup.recv() => HANGUP,
        }
    }
}

const HANGUP: &str = "SIGHUP";

struct Listening {
    sources: Sources,
    serving: Arc<AtomicBool>,
    shutdown: Shutdown,
    on_hangup: OnHangup,
}

impl Listening {
    async fn run(mut self, tell: &Sender<()>) {
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                name = self.sources.next() => self.hear(name),
                () = shutdown.begun() => break,
            }
        }
        let _ = tell.send(());
        loop {
            let name = self.sources.next().await;
            self.hear(name);
        }
    }

    fn hear(&mut self, name: &'static str) {
        if name == HANGUP {
            match (self.on_hangup)() {
                Ok(done) => tracing::info!("{name}: {done}"),
                Err(failed) => tracing::error!("{name}: {failed}"),
            }
        } else if !self.serving.load(Ordering::Acquire) {
            tracing::info!("{name} during the start: nothing is served yet, leaving at once");
            logging::flush();
            // As safe as a kill: whatever was being written is settled by the next start.
            process::exit(0);
        } else if self.shutdown.has_begun() {
            tracing::warn!("{name} again: not waiting for connections any more");
            self.shutdown.hurry();
        } else {
            tracing::info!("{name}: draining");
            self.shutdown.begin();
        }
    }
}
