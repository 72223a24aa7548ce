//! The figures of the whole server, computed on a thread of their own.
//!
//! Workers only count. The [`Observer`] computes everything that is shown, from `/health` to the stream of the
//! operations page: so a query costs no worker, and no buyer, more than passing the answer on, and a thousand
//! subscribers cost one computation a second. Equal queries that wait share one computation, and the thread
//! pauses between computations, so that a flood of queries takes a part of one core at most and delays nobody who
//! asks for something else.

mod conservation;
mod cpu_budget;
mod hold_audit;
mod load;
mod observer;
mod replica;
mod report;
mod request_coalescer;
mod sample;
mod stall;
mod summary;
mod view;

pub use load::WorkerLoad;
pub use observer::Observer;
pub use replica::{Replica, ReplicationReport};
pub use request_coalescer::{Busy, Query, SharedBody};
pub use view::{FigureSources, View};
