//! Redis as a projection of the journal, for caches, mailers and whoever fulfils orders. What the keys
//! mean is in `docs/redis.md`.
//!
//! A batch is folded in memory to its net effects ([`RedisBatch`]) and applied by one call of code that
//! runs inside of Redis, which nothing interrupts. It moves the watermark last.
//!
//! **Invariants.** Such a call is atomic towards others, but does not roll back: it checks everything
//! before the first write, and a mark stands while it writes. A projection with that mark left, or with
//! the token of somebody who has not finished filling it, counts as empty and is filled again; but what
//! breaks off at the same place twice is left for a person. Every write sets a value, so that a call, or
//! its beginning, may run again before what follows it. Whenever the follower has found its place, it
//! checks the sums. No code of an open checkout is ever sent.
//!
//! Redis may be several servers. Every connection leads to the one that has the keys (`discovery`), and what
//! that one answers when it no longer has them ends the connection.

mod audit;
mod batch;
mod dial;
mod discovery;
mod failure;
mod keys;
mod link;
mod node_watch;
mod options;
mod projection;
mod reading;
mod rebuild;
mod script;
mod sink;
mod slots;
mod stored;
mod survey;
mod wire;

pub use batch::RedisBatch;
pub use options::{RedisOptions, RedisServers, SentinelOptions};
pub use projection::{ProjectedItems, Projection, SaleProjection};
pub use reading::{Reading, read};
pub use rebuild::reset;
pub use sink::RedisSink;
pub use survey::RedisSurvey;
pub use wire::{SaleKind, expires_at};
