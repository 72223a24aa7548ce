//! Failed attempts to authenticate, counted by network.

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::limits::{
    AUTHENTICATION_FAILURES_MAX, AUTHENTICATION_PEERS_MAX, AUTHENTICATION_WINDOW_SECONDS,
};
use crate::types::Network;

const WINDOW_US: u64 = AUTHENTICATION_WINDOW_SECONDS as u64 * 1_000_000;

/// The failures of a network since the first one. A window lasts [`AUTHENTICATION_WINDOW_SECONDS`].
#[derive(Clone, Copy, Debug)]
struct FailureWindow {
    begun_us: u64,
    failures: u32,
}

impl FailureWindow {
    fn left_us(&self, now_us: u64) -> u64 {
        (self.begun_us + WINDOW_US).saturating_sub(now_us)
    }
}

/// The networks with recent failures, shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Network, FailureWindow, foldhash::fast::RandomState>>);

impl Failures {
    /// Returns for how many seconds more `network` is locked out; `None` when it is not.
    pub(super) fn locked_out_seconds(&self, network: Network, now_us: u64) -> Option<u64> {
        let windows = self.0.lock();
        let window = windows.get(&network)?;
        let left_us = window.left_us(now_us);
        (window.failures >= AUTHENTICATION_FAILURES_MAX && left_us > 0)
            .then(|| left_us.div_ceil(1_000_000))
    }

    /// Counts a failure, and returns whether it is the one that locks the network out.
    pub(super) fn add(&self, network: Network, now_us: u64) -> bool {
        let mut windows = self.0.lock();
        let is_known = |window: &FailureWindow| window.left_us(now_us) > 0;
        if !windows.get(&network).is_some_and(is_known) {
            if windows.len() >= AUTHENTICATION_PEERS_MAX {
                evict_oldest(&mut windows);
            }
            let begun = FailureWindow {
                begun_us: now_us,
                failures: 0,
            };
            windows.insert(network, begun);
        }
        windows.get_mut(&network).is_some_and(|window| {
            window.failures += 1;
            window.failures == AUTHENTICATION_FAILURES_MAX
        })
    }
}

fn evict_oldest(windows: &mut HashMap<Network, FailureWindow, foldhash::fast::RandomState>) {
    let oldest = windows.iter().min_by_key(|(_, window)| window.begun_us);
    if let Some(network) = oldest.map(|(network, _)| *network) {
        windows.remove(&network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn network(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn a_network_is_locked_out_until_its_window_is_over() {
        let (failures, network) = (Failures::default(), network("192.0.2.1"));
        for count in 1..=AUTHENTICATION_FAILURES_MAX {
            assert_eq!(failures.locked_out_seconds(network, SECOND_US), None);
            let locks = failures.add(network, SECOND_US);
            assert_eq!(locks, count == AUTHENTICATION_FAILURES_MAX);
        }
        assert_eq!(failures.locked_out_seconds(network, SECOND_US), Some(60));
        assert!(!failures.add(network, SECOND_US), "it is reported once");
        assert_eq!(
            failures.locked_out_seconds(network, 60 * SECOND_US),
            Some(1)
        );
        assert_eq!(failures.locked_out_seconds(network, 61 * SECOND_US), None);
        assert!(!failures.add(network, 61 * SECOND_US), "a new window");
        assert_eq!(failures.locked_out_seconds(network, 61 * SECOND_US), None);
    }

    #[test]
    fn the_oldest_windows_are_evicted() {
        let failures = Failures::default();
        let lock_out = |number: usize| {
            let network = Network::V4(u32::try_from(number).expect("small").into());
            (0..AUTHENTICATION_FAILURES_MAX).for_each(|_| {
                failures.add(network, number as u64);
            });
            network
        };
        let networks: Vec<_> = (0..=AUTHENTICATION_PEERS_MAX).map(lock_out).collect();
        assert_eq!(failures.0.lock().len(), AUTHENTICATION_PEERS_MAX);
        let now_us = networks.len() as u64;
        let remembered = |network| failures.locked_out_seconds(network, now_us).is_some();
        assert!(!remembered(networks[0]));
        assert!(networks[1..].iter().all(|&network| remembered(network)));
    }
}
