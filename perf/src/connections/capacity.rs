//! How many connections the limit of open files lets two processes have to each other.

use flashsale::runtime::connections_max as connections_of_worker;

/// Files that are open besides connections, in this process.
const OTHER_FILES: u64 = 200;
/// Standard deviations by which a worker may get more connections than its share: the kernel draws the worker of each.
const DEVIATIONS: f64 = 4.0;

/// Returns how many connections can be open when each process may have `files_max` open files, and the server divides its own among
/// `workers`, so that none is refused.
#[must_use]
pub fn connections_max(files_max: u64, workers: usize) -> usize {
    let own = usize::try_from(files_max.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    let each = connections_of_worker(files_max, workers) as f64;
    let workers = workers.max(1) as f64;
    // With n connections a worker gets n/w on average, with a variance of n/w (1 - 1/w).
    let spread = DEVIATIONS * (each * (1.0 - 1.0 / workers)).sqrt();
    own.min(((each - spread).max(1.0) * workers) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_room_for_more_than_its_share() {
        let two = connections_max(20_000, 2);
        assert!((19_000..19_400).contains(&two), "{two}");
        assert_eq!(connections_max(20_000, 1), 16_384, "the most of a worker");
        assert_eq!(
            connections_max(10_000, 1),
            10_000 - 256,
            "the server's reserve"
        );
        assert!(connections_max(1_000_000, 64) <= 1_000_000 - 200);
        assert_eq!(connections_max(0, 2), 0);
    }
}
