//! What happens by the clock: sales open and close on the boundaries of the interval, and holds run
//! out.
//!
//! An [`Agenda`] knows what is to be done, and does it when it is asked to look; the [`Scheduler`] is the
//! thread that asks.
//!
//! **Invariants.** The times of sales are compared with the wall clock, which may jump; holds last by the
//! steady clock, which does not. Everything is done at most once however often it is looked at, and in
//! the order in which it was due, also when the look comes late: after a stall, a sleep of the machine,
//! or a start long after the last stop.

mod agenda;
mod calendar;
mod jump;
mod rotation;
mod scheduler;

pub use agenda::{Agenda, CatchUpError};
pub use rotation::{ADDED_SEED, Rotation};
pub use scheduler::Scheduler;
