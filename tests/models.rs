//! Models of the lock-free parts, in which loom tries every order of their steps (up to a bound of
//! preemptions). They compile the server's own source files against loom's primitives: [`sync`] here
//! stands where `src/sync.rs` stands in the server.

#[allow(dead_code, reason = "a model uses a part of its source")]
#[path = "../src/journal/progress.rs"]
mod progress;
#[allow(dead_code, reason = "a model uses a part of its source")]
#[path = "../src/sale/stock.rs"]
mod stock;

mod error {
    pub use flashsale::journal::JournalFailed;
}

mod types {
    pub use flashsale::types::Lsn;
}

#[path = "models/sync.rs"]
mod sync;

#[path = "models/durable.rs"]
mod durable;
#[path = "models/few.rs"]
mod few;
#[path = "models/pool.rs"]
mod pool;
#[path = "models/single.rs"]
mod single;

/// Runs `model` in every order of its steps with at most `preemptions` switches that nothing forced.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
