//! The whole flash-sale server on one thread, run from one seed: its HTTP handlers, engine, journal, schedule,
//! housekeeping, archive, feeds and followers, on a simulated disk, with simulated clocks, databases and buyers.
//!
//! A run is a sequence of steps that the seed draws. Each step lets a buyer ask, one of the server's threads have a turn,
//! time pass, or something break. At the end everything is healed, a checker holds what was told against what is
//! written, and all has to move on within a bounded time. The same seed gives the same run, byte for byte.
//!
//! The ideas are those of FoundationDB's simulation and of TigerBeetle's VOPR.

mod administrators;
mod answers;
mod buyers;
mod campaign;
mod cancelled;
mod checker;
mod dice;
mod faults;
mod given_back;
mod history;
mod ledger;
mod lifecycle;
mod log_watch;
mod machine;
mod opening;
mod pair;
mod payments;
mod plan;
mod restocked;
mod rot;
mod rush;
mod server;
mod sink;
mod sold_out;
mod tables;
mod tape;
mod trace;
mod verdict;
mod vitals;
mod world;

pub use campaign::{Campaign, Found, find, shrink};
pub use plan::{Cuts, is_paired};
pub use trace::{Counts, Trace};
pub use world::{Failure, Report, run};
