//! The thread of the schedule.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::agenda::Agenda;
use crate::sync::{Condvar, Mutex};

/// The thread that runs an [`Agenda`] whenever an action is due.
pub struct Scheduler {
    signal: Arc<StopSignal>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Scheduler {
    /// Starts the thread, which runs the due actions of `agenda`.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(mut agenda: Agenda) -> std::io::Result<Self> {
        let signal = Arc::new(StopSignal::default());
        let for_thread = Arc::clone(&signal);
        let run = move || {
            while for_thread.wait(agenda.idle_time()) {
                agenda.run_due();
            }
        };
        Ok(Self {
            signal,
            thread: Builder::new().name("schedule".into()).spawn(run)?,
        })
    }

    /// Ends the thread and waits until it has ended.
    pub fn stop(self) {
        *self.signal.stopped.lock() = true;
        self.signal.changed.notify_all();
        let _ = self.thread.join();
    }
}

impl StopSignal {
    /// Waits for `at_most`, and returns false once the scheduler is to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, at_most);
        }
        !*stopped
    }
}
