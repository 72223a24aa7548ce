//! Actions by the clock: sales open and close at the boundaries of intervals, and reservations expire.
//!
//! An [`Agenda`] knows which actions are due and runs them; the [`Scheduler`] is the thread that calls it.
//!
//! **Invariants.** The times of sales are compared with the wall clock, which may jump; reservations last by the
//! steady clock, which does not. Each action runs at most once however often it is checked, and in the order in which
//! the actions were due, also when the check comes late: after a stall, a sleep of the machine, or a start long
//! after the last stop.

mod agenda;
mod calendar;
mod clock_watch;
mod jump;
mod rotation;
mod scheduler;

pub use agenda::{Agenda, CatchUpError};
pub use clock_watch::ClockWatch;
pub use rotation::{ADDED_SEED, Rotation};
pub use scheduler::Scheduler;
