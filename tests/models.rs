//! Models of the lock-free parts, in which loom tries every order of their steps (up to a bound of
//! preemptions). They compile the server's own source files against loom's primitives: [`sync`] here
//! stands where `src/sync.rs` stands in the server.

#[allow(dead_code, reason = "a model uses a part of its source")]
#[path = "../src/limiter/gcra.rs"]
mod gcra;
#[allow(dead_code, reason = "a model uses a part of its source")]
#[path = "../src/journal/progress.rs"]
mod progress;
mod error {
    pub use flashsale::journal::JournalFailed;
}

mod env {
    pub use flashsale::env::{Clock, KeyHasher, key_hasher};
}

mod generated {
    pub use flashsale::generated::*;
}

mod planted {
    pub use flashsale::planted::*;
}

mod record {
    pub use flashsale::record::*;
}

/// One lock of everything: what is under different locks does not disturb each other, and the more there
/// are the less a model can try.
mod limits {
    pub use flashsale::limits::*;

    pub const BUYER_SHARDS: usize = 1;
    pub const CODE_SHARDS: usize = 1;
    pub const STOCK_SHARDS_MAX: usize = 1;
    pub const LIMIT_CELLS: usize = 2;
}

mod types {
    pub use flashsale::types::*;
}

mod wheel {
    pub use flashsale::wheel::*;
}

#[allow(dead_code, reason = "a model uses a part of its source")]
#[allow(clippy::modulo_one, reason = "there is one shard of everything")]
#[path = "models/sale.rs"]
mod sale;
use sale::stock;

#[path = "models/sync.rs"]
mod sync;

#[path = "models/durable.rs"]
mod durable;
#[path = "models/few.rs"]
mod few;
#[path = "models/pool.rs"]
mod pool;
#[path = "models/rates.rs"]
mod rates;
#[path = "models/single.rs"]
mod single;

/// Runs `model` in every order of its steps with at most `preemptions` switches that nothing forced.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
