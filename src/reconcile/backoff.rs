//! How long to wait before the next attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::env::Entropy;
use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};

/// Doubles the wait with every failure, up to a bound, and draws the real one from its upper half, so
/// that many who lost the same server do not all come back in the same moment.
pub(super) struct Backoff {
    entropy: Arc<dyn Entropy>,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            failures: 0,
        }
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling_ms = BACKOFF_MS_MIN
            .saturating_mul(1 << self.failures.min(16))
            .min(BACKOFF_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        let half = u128::from(ceiling_ms / 2);
        let drawn_ms = half + self.entropy.bits_128() % (half + 1);
        Duration::from_millis(drawn_ms as u64)
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SeededEntropy;

    #[test]
    fn waits_grow_differ_and_stay_bounded() {
        let mut backoff = Backoff::new(Arc::new(SeededEntropy::new(3)));
        let waits: Vec<_> = (0..40).map(|_| backoff.next().as_millis()).collect();
        assert!(waits[0] <= u128::from(BACKOFF_MS_MIN));
        let ceiling = u128::from(BACKOFF_MS_MAX);
        assert!(waits.iter().all(|&wait| wait <= ceiling));
        let late = &waits[20..];
        assert!(late.iter().all(|&wait| wait >= ceiling / 2));
        assert!(late.iter().any(|wait| wait != &late[0]));
        backoff.reset();
        assert!(backoff.next().as_millis() <= u128::from(BACKOFF_MS_MIN));
    }
}
