//! When an endpoint that failed is asked again.

use std::sync::Arc;

use crate::env::Entropy;
use crate::limits::{
    WEBHOOK_PAUSE_SECONDS_MAX, WEBHOOK_RETRY_SECONDS_MAX, WEBHOOK_RETRY_SECONDS_MIN,
};
use crate::reconcile::SinkError;

/// Doubles the pause with every failure, up to a bound, and draws the real one from its upper half. An endpoint that says for how long it
/// wants to be left alone is.
pub(super) struct Retry {
    entropy: Arc<dyn Entropy>,
    failures: u32,
    /// Until when nothing is sent, by the monotonic clock.
    until_us: u64,
    /// The last failure, for the log and for everybody.
    why: [String; 2],
}

impl Retry {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            failures: 0,
            until_us: 0,
            why: Default::default(),
        }
    }

    /// Notes a failure.
    pub(super) fn fail(
        &mut self,
        now_us: u64,
        retry_after_seconds: Option<u64>,
        error: &SinkError,
    ) {
        let ceiling_us = WEBHOOK_RETRY_SECONDS_MIN
            .saturating_mul(1 << self.failures.min(16))
            .min(WEBHOOK_RETRY_SECONDS_MAX)
            * 1_000_000;
        self.failures = self.failures.saturating_add(1);
        let half = u128::from(ceiling_us / 2);
        let drawn_us = (half + self.entropy.bits_128() % (half + 1)) as u64;
        let asked_seconds = retry_after_seconds
            .unwrap_or(0)
            .min(WEBHOOK_PAUSE_SECONDS_MAX);
        self.until_us = now_us + drawn_us.max(asked_seconds * 1_000_000);
        self.why = [error.to_string(), error.shown()];
    }

    /// Notes that the endpoint has taken something.
    pub(super) fn reset(&mut self) {
        (self.failures, self.until_us) = (0, 0);
    }

    /// Fails while nothing is to be sent: as the last attempt did, so that the log has that once.
    pub(super) fn check(&self, now_us: u64) -> Result<(), SinkError> {
        if now_us >= self.until_us {
            return Ok(());
        }
        let [internal, public] = self.why.clone();
        Err(SinkError::Redacted {
            internal,
            public,
            permanent: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SeededEntropy;

    fn down() -> SinkError {
        SinkError::Unavailable("it is down".into())
    }

    #[test]
    fn pauses_grow_and_an_endpoint_may_ask_for_longer_ones() {
        let mut retry = Retry::new(Arc::new(SeededEntropy::new(1)));
        assert!(retry.check(0).is_ok());
        let pauses: Vec<_> = (0..20)
            .map(|_| {
                retry.fail(1_000, None, &down());
                let refused = retry.check(retry.until_us - 1).expect_err("too early");
                assert_eq!(refused.shown(), "it is down");
                assert!(retry.check(retry.until_us).is_ok());
                retry.until_us - 1_000
            })
            .collect();
        assert!(pauses[0] <= WEBHOOK_RETRY_SECONDS_MIN * 1_000_000);
        assert!(pauses[19] >= WEBHOOK_RETRY_SECONDS_MAX * 500_000);
        assert!(pauses[19] <= WEBHOOK_RETRY_SECONDS_MAX * 1_000_000);
        retry.fail(0, Some(200), &down());
        assert!(retry.check(199_999_999).is_err() && retry.check(200_000_000).is_ok());
        retry.fail(0, Some(u64::MAX), &down());
        assert!(retry.check(WEBHOOK_PAUSE_SECONDS_MAX * 1_000_000).is_ok());
        retry.reset();
        assert!(retry.check(0).is_ok());
    }
}
