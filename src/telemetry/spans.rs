//! Spans for OpenTelemetry, made when they are over: then all is known that they say, and a request that is
//! not sampled costs a random number.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use opentelemetry::KeyValue;
use opentelemetry::global;
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{Span as _, Status, Tracer};

use crate::env::{splitmix64, system_time};
use crate::types::Timestamp;

/// The name under which our spans are known.
const SCOPE: &str = "flashsale";
/// One in so many numbers that are drawn means a span; 0: nobody takes any.
static BELOW: AtomicU64 = AtomicU64::new(0);
/// The seed of the next thread that begins to draw.
static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DRAWN: Cell<u64> = Cell::new(SEED.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed));
}

/// From now on `ratio` of all requests, from 0 to 1, have a span, which goes to the tracer provider of the
/// process. `seed` decides which.
pub fn sample(ratio: f64, seed: u64) {
    SEED.store(seed, Relaxed);
    BELOW.store((ratio * u64::MAX as f64) as u64, Relaxed);
}

/// Returns whether anybody takes spans.
#[must_use]
pub fn are_taken() -> bool {
    BELOW.load(Relaxed) > 0
}

/// Draws whether something is to have a span.
#[must_use]
pub fn is_sampled() -> bool {
    let below = BELOW.load(Relaxed);
    below > 0
        && DRAWN.with(|drawn| {
            let mut state = drawn.get();
            let number = splitmix64(&mut state);
            drawn.set(state);
            number <= below
        })
}

/// Something that is over.
#[derive(Debug)]
pub struct Finished {
    /// The span's name, of which there are few.
    pub name: String,
    /// The kind: whether a client had asked for the work.
    pub kind: SpanKind,
    /// The time at which the span ended.
    pub ended_at: Timestamp,
    /// The duration of the span, in nanoseconds.
    pub took_ns: u64,
    /// The work failed, and the server is at fault.
    pub failed: bool,
    /// Further attributes, none of which tells who asked, and for what.
    pub attributes: Vec<KeyValue>,
}

impl Finished {
    /// Hands the span on. Does not wait; where too many wait to be sent, it is dropped.
    pub fn hand_on(self) {
        let ended = system_time(self.ended_at);
        let tracer = global::tracer(SCOPE);
        let builder = tracer.span_builder(self.name).with_kind(self.kind);
        let builder = builder.with_attributes(self.attributes);
        let started = ended - Duration::from_nanos(self.took_ns);
        let mut span = builder.with_start_time(started).start(&tracer);
        if self.failed {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_are_sampled_as_was_asked_for() {
        let sampled = || (0..100_000).filter(|_| is_sampled()).count();
        assert_eq!(sampled(), 0, "nobody takes them");
        sample(0.01, 7);
        assert!((800..1200).contains(&sampled()));
        sample(1.0, 7);
        assert_eq!(sampled(), 100_000);
        sample(0.0, 7);
        assert_eq!(sampled(), 0);
    }
}
