//! The vital signs of a process: nobody outside may see what one does that is dead.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use flashsale::env::SimulatedDisk;

/// The vital signs of a process. It is dead once it has ended itself, was killed, or its power has failed.
#[derive(Clone)]
pub struct Vitals {
    ended: Arc<AtomicBool>,
    /// It has ended itself.
    failed: Arc<AtomicBool>,
    pause: Arc<Pause>,
    disk: SimulatedDisk,
}

/// The pause of a process, which does nothing until it is over.
#[derive(Default)]
struct Pause {
    is_on: AtomicBool,
    /// The tasks that would have gone on.
    held: Mutex<Vec<Waker>>,
}

impl Vitals {
    /// Creates those of a process that lives, on `disk`.
    #[must_use]
    pub fn new(disk: SimulatedDisk) -> Self {
        Self {
            ended: Arc::default(),
            failed: Arc::default(),
            pause: Arc::default(),
            disk,
        }
    }

    /// Stops the process as `SIGSTOP` does, or lets it go on.
    pub fn set_paused(&self, is_paused: bool) {
        self.pause.is_on.store(is_paused, Ordering::SeqCst);
        if !is_paused {
            let held = std::mem::take(&mut *self.pause.held.lock().expect("no panic"));
            held.into_iter().for_each(Waker::wake);
        }
    }

    /// Returns whether the process is stopped, and may go on later.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pause.is_on.load(Ordering::SeqCst)
    }

    /// Does `work` as a task of the process does: not while that is paused.
    pub async fn work<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.is_paused() {
                let mut held = self.pause.held.lock().expect("no panic");
                held.push(context.waker().clone());
                return Poll::Pending;
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Ends the process.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Ends the process, by itself.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.end();
    }

    /// Returns whether the process has ended by itself.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Returns whether the process has ended by itself, or was killed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns whether the process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.has_ended() && !self.disk.has_crashed()
    }
}
