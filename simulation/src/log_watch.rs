//! Watches a replicated log: what is in it, and who leads.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use flashsale::env::ManualClock;
use flashsale::replication::{Epoch, SimulatedLog, now_us};
use flashsale::types::Lsn;

/// The watch over a log. Clones watch it together.
#[derive(Clone)]
pub struct LogWatch(Rc<RefCell<Watched>>);

struct Watched {
    log: SimulatedLog,
    /// The clocks of the machines.
    clocks: Vec<Arc<ManualClock>>,
    epoch: Epoch,
    /// When the epoch began, by the clock of each machine, in microseconds.
    since_us: Vec<u64>,
    last: Lsn,
}

impl LogWatch {
    /// Creates the watch over `log`, for machines with these `clocks`.
    #[must_use]
    pub fn new(log: SimulatedLog, clocks: Vec<Arc<ManualClock>>) -> Self {
        let since_us = clocks.iter().map(|clock| now_us(&**clock)).collect();
        Self(Rc::new(RefCell::new(Watched {
            log,
            clocks,
            epoch: Epoch::default(),
            since_us,
            last: Lsn::ZERO,
        })))
    }

    /// Looks at the log. Returns whether another one leads than before.
    pub fn look(&self) -> bool {
        let watched = &mut *self.0.borrow_mut();
        let Some(head) = watched.log.head() else {
            return false;
        };
        watched.last = watched.last.max(head.last.lsn);
        let is_new = head.epoch > watched.epoch;
        if is_new {
            watched.epoch = head.epoch;
            let clocks = watched.clocks.iter();
            watched.since_us = clocks.map(|clock| now_us(&**clock)).collect();
        }
        is_new
    }

    /// Returns the last record that was ever acknowledged by the log.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.0.borrow().last
    }

    /// Returns for how long, by the clock of the machine `place`, the epoch `own` has been over, in microseconds; `None` while it is not.
    #[must_use]
    pub fn stale_us(&self, place: usize, own: Epoch) -> Option<u64> {
        let watched = &*self.0.borrow();
        let over = || now_us(&*watched.clocks[place]).saturating_sub(watched.since_us[place]);
        (own < watched.epoch).then(over)
    }
}
