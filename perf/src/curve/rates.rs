//! The rates of the open loop, and how many items they use up.

use std::time::Duration;

/// The rates that are asked for, in percent of a contestant's own maximum.
pub const SHARES_PERCENT: [u32; 4] = [25, 50, 75, 90];
/// Free items of a closed loop, as a multiple of what the rate that was seen uses up.
const CLOSED_RESERVE: f64 = 1.5;
/// Arrivals by chance are hardly ever so many standard deviations more than planned.
const DEVIATIONS: f64 = 9.0;

/// Returns the rate that is `share_percent` of `maximum`.
#[must_use]
pub fn rate_of(maximum: f64, share_percent: u32) -> f64 {
    maximum * f64::from(share_percent) / 100.0
}

/// Returns the journeys a second that a closed loop has items for, of a contestant with this maximal rate.
#[must_use]
pub fn closed_per_second(maximum: f64) -> u32 {
    (maximum * CLOSED_RESERVE).ceil() as u32
}

/// Returns how many items a turn of an open loop may use up.
#[must_use]
pub fn items_of_turn(rate: f64, duration: Duration) -> u32 {
    let planned = rate * duration.as_secs_f64();
    (planned + DEVIATIONS * planned.sqrt()).ceil() as u32 + 1
}

/// Returns how many items all turns of a round may use up, after a closed loop for `warm_up`.
#[must_use]
pub fn items_of_round(maximum: f64, duration: Duration, warm_up: Duration) -> u32 {
    let turns = SHARES_PERCENT.map(|share| items_of_turn(rate_of(maximum, share), duration));
    let warm_up = f64::from(closed_per_second(maximum)) * warm_up.as_secs_f64();
    turns.iter().sum::<u32>() + warm_up.ceil() as u32 + 1
}

/// Returns `duration`, or less where `items` would not be enough for it.
#[must_use]
pub fn longest(duration: Duration, rate: f64, items: u32) -> Duration {
    if items_of_turn(rate, duration) <= items {
        return duration;
    }
    let items = f64::from(items);
    let planned = (items - DEVIATIONS * items.sqrt() - 2.0).max(0.0);
    duration.min(Duration::from_secs_f64(planned / rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_secs(5);

    #[test]
    fn rates_are_shares_of_the_maximum() {
        let rates = SHARES_PERCENT.map(|share| rate_of(200.0, share));
        assert_eq!(rates, [50.0, 100.0, 150.0, 180.0]);
    }

    #[test]
    fn a_round_has_items_for_its_warm_up_and_all_of_its_turns() {
        let (maximum, warm_up) = (10_000.0, Duration::from_millis(500));
        let items = items_of_round(maximum, TURN, warm_up);
        // 2.4 times the maximum in each second, the warm-up, and what chance may add.
        assert!((127_500..140_000).contains(&items), "{items}");
    }

    #[test]
    fn a_turn_is_no_longer_than_its_items_last() {
        assert_eq!(longest(TURN, 1_000.0, 1_000_000), TURN);
        for items in [10, 1_000, 500_000] {
            let shorter = longest(TURN, 200_000.0, items);
            assert!(shorter < TURN, "{items}");
            assert!(items_of_turn(200_000.0, shorter) <= items, "{items}");
        }
        assert!(longest(TURN, 200_000.0, 500_000) > TURN.mul_f64(0.45));
    }
}
