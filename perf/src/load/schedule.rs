//! The schedule of an open loop: the times at which its arrivals are due. All of it follows from the plan and a seed,
//! whatever the server does.

use std::time::Duration;

use super::plan::{Arrivals, Shape};

/// Share of a spike's run at the full rate.
const SPIKE_SHARE: f64 = 0.2;
/// The rate after the spike, as a share of the full one.
const SPIKE_REST: f64 = 0.1;

/// Returns how many arrivals are expected in the first `at` seconds of a run of `seconds`.
pub(super) fn expected_until(shape: Shape, rate: f64, seconds: f64, at: f64) -> f64 {
    match shape {
        Shape::Steady => rate * at,
        Shape::Ramp => rate * at * at / (2.0 * seconds),
        Shape::Spike => {
            let peak = seconds * SPIKE_SHARE;
            rate * (at.min(peak) + (at - peak).max(0.0) * SPIKE_REST)
        }
    }
}

/// The inverse: when `count` arrivals are expected to have come, in seconds.
fn time_of(shape: Shape, rate: f64, seconds: f64, count: f64) -> f64 {
    match shape {
        Shape::Steady => count / rate,
        Shape::Ramp => (2.0 * seconds * count / rate).sqrt(),
        Shape::Spike => {
            let peak = seconds * SPIKE_SHARE;
            let until = count / rate;
            until.min(peak) + (until - peak).max(0.0) / SPIKE_REST
        }
    }
}

/// The arrivals of one thread, as times from the beginning of the run, in order.
#[derive(Debug)]
pub(super) struct Schedule {
    arrivals: Arrivals,
    shape: Shape,
    rate: f64,
    seconds: f64,
    /// Arrivals of all threads that are expected before the next one of this thread.
    count: f64,
    lanes: f64,
    lots: fastrand::Rng,
}

impl Schedule {
    /// The arrivals of thread `lane` of `lanes`.
    pub(super) fn new(
        (arrivals, shape): (Arrivals, Shape),
        rate: f64,
        duration: Duration,
        (lane, lanes): (usize, usize),
        seed: u64,
    ) -> Self {
        let mut schedule = Self {
            arrivals,
            shape,
            rate,
            seconds: duration.as_secs_f64(),
            count: lane as f64,
            lanes: lanes as f64,
            lots: fastrand::Rng::with_seed(seed.wrapping_add(lane as u64)),
        };
        if arrivals == Arrivals::Poisson {
            schedule.count = schedule.distance();
        }
        schedule
    }

    /// To the next arrival of this thread. Independent arrivals have exponential distances.
    fn distance(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Uniform => self.lanes,
            Arrivals::Poisson => -(1.0 - self.lots.f64()).ln() * self.lanes,
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let at = time_of(self.shape, self.rate, self.seconds, self.count);
        if at >= self.seconds {
            return None;
        }
        self.count += self.distance();
        Some(Duration::from_secs_f64(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_shape() -> impl Strategy<Value = Shape> {
        prop_oneof![Just(Shape::Steady), Just(Shape::Ramp), Just(Shape::Spike)]
    }

    fn lanes_of(
        arrivals: Arrivals,
        shape: Shape,
        rate: f64,
        seconds: f64,
        lanes: usize,
        seed: u64,
    ) -> Vec<Vec<Duration>> {
        let lane = |lane| {
            let duration = Duration::from_secs_f64(seconds);
            Schedule::new((arrivals, shape), rate, duration, (lane, lanes), seed).collect()
        };
        (0..lanes).map(lane).collect()
    }

    proptest! {
        #[test]
        fn uniform_arrivals_are_as_many_as_expected(
            shape in any_shape(), rate in 1.0..5000.0, seconds in 0.2..4.0, lanes in 1_usize..5,
        ) {
            let all = lanes_of(Arrivals::Uniform, shape, rate, seconds, lanes, 0);
            let count: usize = all.iter().map(Vec::len).sum();
            let expected = expected_until(shape, rate, seconds, seconds);
            prop_assert!((count as f64 - expected).abs() <= 1.0, "{count} of {expected}");
        }

        #[test]
        fn poisson_arrivals_are_about_as_many_as_expected(
            shape in any_shape(), rate in 500.0..5000.0, lanes in 1_usize..5, seed: u64,
        ) {
            let all = lanes_of(Arrivals::Poisson, shape, rate, 2.0, lanes, seed);
            let count: usize = all.iter().map(Vec::len).sum();
            let expected = expected_until(shape, rate, 2.0, 2.0);
            // Seven standard deviations.
            prop_assert!((count as f64 - expected).abs() <= 7.0 * expected.sqrt());
        }

        #[test]
        fn arrivals_are_in_order_and_within_the_run(
            shape in any_shape(), poisson: bool, rate in 1.0..5000.0, lanes in 1_usize..5, seed: u64,
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Uniform };
            for lane in lanes_of(arrivals, shape, rate, 1.5, lanes, seed) {
                prop_assert!(lane.is_sorted());
                prop_assert!(lane.iter().all(|at| at.as_secs_f64() < 1.5));
            }
        }

        #[test]
        fn the_time_of_a_count_is_when_it_is_expected(
            shape in any_shape(), rate in 1.0..5000.0, seconds in 0.2..100.0, share in 0.0..1.0,
        ) {
            let at = seconds * share;
            let count = expected_until(shape, rate, seconds, at);
            prop_assert!((time_of(shape, rate, seconds, count) - at).abs() < 1e-6 * seconds);
        }
    }

    #[test]
    fn lanes_of_a_uniform_schedule_interleave() {
        let lanes = lanes_of(Arrivals::Uniform, Shape::Steady, 10.0, 1.0, 2, 0);
        assert_eq!(lanes[0][1], Duration::from_millis(200));
        assert_eq!(lanes[1][0], Duration::from_millis(100));
    }
}
