//! The thread that drives the feeds.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Feeds;
use crate::limits::STREAM_TICK_MS;

/// Drives all feeds on a thread of its own, so that no buyer waits for them. It sleeps while there is no feed.
pub struct Ticker {
    feeds: Arc<Feeds>,
    thread: JoinHandle<()>,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(feeds: Arc<Feeds>) -> std::io::Result<Self> {
        let driven = Arc::clone(&feeds);
        let run = move || {
            while driven.wait() {
                driven.tick();
            }
        };
        Ok(Self {
            feeds,
            thread: Builder::new().name("ticker".into()).spawn(run)?,
        })
    }

    /// Stops the thread, and returns when it has ended.
    pub fn stop(self) {
        self.feeds.state.lock().stopped = true;
        self.feeds.changed.notify_all();
        let _ = self.thread.join();
    }
}

impl Feeds {
    /// Blocks until the next tick is due. Returns false once the ticker is stopped.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.feeds.is_empty() && !state.stopped {
            self.changed.wait(&mut state);
        }
        if !state.stopped {
            let tick = Duration::from_millis(STREAM_TICK_MS);
            self.changed.wait_for(&mut state, tick);
        }
        !state.stopped
    }
}
