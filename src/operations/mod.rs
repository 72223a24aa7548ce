//! What operators see: the figures of the whole server, put together on a thread of their own.
//!
//! Workers count and do not know who looks. Everything that is shown, from `/health` to the stream of the
//! operations page, is computed by the [`Observer`]: so a look costs no worker, and no buyer, more than
//! passing the answer on, and a thousand who watch cost one computation a second. Equal questions that wait are
//! answered by one computation, and the thread rests between them, so that a flood of questions takes a part
//! of one core at most, and keeps nobody who asks something else from their answer.

mod allowance;
mod conservation;
mod holds;
mod load;
mod observer;
mod questions;
mod report;
mod second;
mod stall;
mod summary;
mod view;

pub use load::WorkerLoad;
pub use observer::Observer;
pub use questions::{Busy, Question, Told};
pub use view::{Sources, View};
