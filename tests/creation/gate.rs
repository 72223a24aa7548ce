//! A clock that holds one thread up: every record has a time, so a creation can be stopped at any.

use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use flashsale::env::{Clock, ManualClock};
use flashsale::types::Timestamp;

const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the thread that is held up.
pub const HELD: &str = "held";

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// So many records are still let through.
    Before(u32),
    Held,
    Open,
}

/// A clock at which the thread called [`HELD`] waits after some records until it is let on.
pub struct Gate {
    pub clock: ManualClock,
    place: Mutex<Place>,
    changed: Condvar,
}

impl Gate {
    /// Lets `records` through.
    pub fn after(records: u32) -> Self {
        Self {
            clock: ManualClock::at(Timestamp::from_seconds(10)),
            place: Mutex::new(Place::Before(records)),
            changed: Condvar::new(),
        }
    }

    /// Waits until somebody is held up.
    pub fn wait_until_held(&self) {
        self.wait_while("nobody came", |place| !matches!(place, Place::Held));
    }

    /// Lets everybody on, for good.
    pub fn open(&self) {
        *self.place.lock().expect("nobody panics here") = Place::Open;
        self.changed.notify_all();
    }

    fn pass(&self) {
        {
            let mut place = self.place.lock().expect("nobody panics here");
            match &mut *place {
                Place::Open | Place::Held => {}
                Place::Before(0) => *place = Place::Held,
                Place::Before(records) => {
                    *records -= 1;
                    return;
                }
            }
            self.changed.notify_all();
        }
        self.wait_while("nobody else got on", |place| *place != Place::Open);
    }

    fn wait_while(&self, otherwise: &str, is_so: impl Fn(&Place) -> bool) {
        let place = self.place.lock().expect("nobody panics here");
        let waited = self
            .changed
            .wait_timeout_while(place, PATIENCE, |place| is_so(place));
        let timed_out = waited.expect("nobody panics here").1.timed_out();
        assert!(!timed_out, "{otherwise}");
    }
}

impl Clock for Gate {
    fn now(&self) -> Timestamp {
        if thread::current().name() == Some(HELD) {
            self.pass();
        }
        self.clock.now()
    }

    fn steady(&self) -> Timestamp {
        self.clock.steady()
    }

    fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }
}
