//! The thread that looks at the clock.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::agenda::Agenda;
use crate::sync::{Condvar, Mutex};

/// The thread that looks at the clock.
pub struct Scheduler {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Scheduler {
    /// Starts the thread, which does what `agenda` says whenever it is due.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(mut agenda: Agenda) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let run = move || {
            while for_thread.wait(agenda.rest()) {
                agenda.look();
            }
        };
        Ok(Self {
            shared,
            thread: Builder::new().name("schedule".into()).spawn(run)?,
        })
    }

    /// Ends the thread; returns when it has ended.
    pub fn stop(self) {
        *self.shared.stopped.lock() = true;
        self.shared.changed.notify_all();
        let _ = self.thread.join();
    }
}

impl Shared {
    /// Waits for `at_most`; false once the scheduler is to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, at_most);
        }
        !*stopped
    }
}
