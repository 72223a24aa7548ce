//! Windows of time over counts that only grow: each window is the difference of two samples.
//!
//! Recorders know nothing of windows. The observer samples the counts once a second, and the history keeps what was
//! counted between two samples for a minute, as the few buckets that are filled.

use std::collections::VecDeque;

use super::bucket;
use super::{Counts, Merged, Series};
use crate::types::{SaleId, Timestamp};

/// Intervals that the history keeps: a minute of them.
const INTERVALS_KEPT: usize = 60;

/// A span of time that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// The last ten seconds.
    TenSeconds,
    /// The last minute.
    Minute,
    /// From the start of the newest sale, or up to a second before it. Until a sale has begun, and where the
    /// server started during it: from the server's start.
    #[default]
    Sale,
    /// From the server's start.
    Start,
}

impl Window {
    /// Every window with its name in requests.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("10s", Self::TenSeconds),
        ("1m", Self::Minute),
        ("sale", Self::Sale),
        ("start", Self::Start),
    ];

    /// Returns the window of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|&(_, window)| window)
    }

    /// Returns the window's name in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, known)| *known == self);
        found.map_or("", |&(name, _)| name)
    }
}

/// The counts within a window.
#[derive(Clone, Debug)]
pub struct Windowed {
    /// The counts.
    pub counts: Merged,
    /// The beginning of the window by the monotonic clock, in microseconds.
    pub since_us: u64,
}

/// The last sample of all counts, and the counts of each interval of the last minute.
#[derive(Debug)]
pub struct History {
    last: Merged,
    last_us: u64,
    started_us: u64,
    intervals: VecDeque<Interval>,
    /// The start and number of the sale that began last.
    sale: Option<(Timestamp, SaleId)>,
    before_sale: Merged,
    before_sale_us: u64,
}

/// The counts between one sample and the next.
#[derive(Debug)]
struct Interval {
    since_us: u64,
    parts: Vec<Part>,
}

/// The filled buckets of one series.
#[derive(Debug)]
struct Part {
    series: Series,
    buckets: Vec<(u16, u64)>,
    sum: u64,
}

impl History {
    /// An empty history that begins at `now_us`.
    #[must_use]
    pub fn new(now_us: u64) -> Self {
        Self {
            last: Merged::default(),
            last_us: now_us,
            started_us: now_us,
            intervals: VecDeque::with_capacity(INTERVALS_KEPT + 1),
            sale: None,
            before_sale: Merged::default(),
            before_sale_us: now_us,
        }
    }

    /// Adds a sample: the counts `now`, and the start and number of the active sale that began last. Returns the
    /// counts since the last sample and the microseconds since then.
    pub fn sample(
        &mut self,
        now_us: u64,
        now: Merged,
        sale: Option<(Timestamp, SaleId)>,
    ) -> (Merged, u64) {
        // When the newest sale ends before an older one does, no new window begins.
        if sale > self.sale {
            // The sale began between the two samples, and its first second must not be missing; or before the
            // server started, where the first sample finds it.
            if !self.intervals.is_empty() {
                (self.before_sale, self.before_sale_us) = (self.last.clone(), self.last_us);
            }
            self.sale = sale;
        }
        let between = now.since(&self.last);
        let passed_us = now_us.saturating_sub(self.last_us);
        self.intervals.push_back(Interval {
            since_us: self.last_us,
            parts: between.filled().map(Part::of).collect(),
        });
        if self.intervals.len() > INTERVALS_KEPT {
            self.intervals.pop_front();
        }
        (self.last, self.last_us) = (now, now_us);
        (between, passed_us)
    }

    /// Returns the counts within `window`, where the present counts are `now`.
    #[must_use]
    pub fn window(&self, window: Window, now: &Merged) -> Windowed {
        let count = match window {
            Window::TenSeconds => 10,
            Window::Minute => INTERVALS_KEPT,
            Window::Sale => {
                return Windowed {
                    counts: now.since(&self.before_sale),
                    since_us: self.before_sale_us,
                };
            }
            Window::Start => {
                return Windowed {
                    counts: now.clone(),
                    since_us: self.started_us,
                };
            }
        };
        let mut counts = now.since(&self.last);
        let kept = self.intervals.iter().rev().take(count);
        let mut since_us = self.last_us;
        for interval in kept {
            since_us = interval.since_us;
            for part in &interval.parts {
                part.add_to(counts.of_mut(part.series));
            }
        }
        Windowed { counts, since_us }
    }
}

impl Part {
    fn of((series, counts): (Series, &Counts)) -> Self {
        let numbered = counts.filled().map(|(highest, count)| {
            let index = u16::try_from(bucket::index_of(highest));
            (index.expect("there are fewer buckets"), count)
        });
        Self {
            series,
            buckets: numbered.collect(),
            sum: counts.sum(),
        }
    }

    fn add_to(&self, counts: &mut Counts) {
        let mut filled = self.buckets.iter().copied().peekable();
        let all = (0..bucket::BUCKETS).map(|index| {
            let here = filled.next_if(|&(at, _)| usize::from(at) == index);
            here.map_or(0, |(_, count)| count)
        });
        counts.add_buckets(all, self.sum);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::telemetry::{Outcome, Route, TelemetryRegistry, WorkerTelemetry};

    const SECOND_US: u64 = 1_000_000;
    const SERIES: Series = Series::Request(Route::Checkout, Outcome::Accepted);

    struct Scene {
        registry: TelemetryRegistry,
        worker: Arc<WorkerTelemetry>,
        history: History,
        seconds: u64,
    }

    impl Scene {
        fn new() -> Self {
            let registry = TelemetryRegistry::new();
            Self {
                worker: registry.add_worker(),
                registry,
                history: History::new(0),
                seconds: 0,
            }
        }

        fn request(&self, latency_ns: u64) {
            self.worker
                .record(Route::Checkout, Outcome::Accepted, latency_ns);
        }

        fn second(&mut self, sale: u32) {
            self.seconds += 1;
            let now = self.registry.merged();
            let now_us = self.seconds * SECOND_US;
            let began = Timestamp::from_seconds(i64::from(sale));
            self.history
                .sample(now_us, now, Some((began, SaleId(sale))));
        }

        /// The count, the longest latency, and the length in seconds.
        fn window(&self, window: Window) -> (u64, u64, u64) {
            let windowed = self.history.window(window, &self.registry.merged());
            let counts = windowed.counts.of(SERIES);
            let seconds = self.seconds - windowed.since_us / SECOND_US;
            (counts.count(), counts.max(), seconds)
        }
    }

    #[test]
    fn a_window_forgets_what_lies_before_it() {
        let mut scene = Scene::new();
        scene.request(200);
        for _ in 0..100 {
            scene.request(100);
            scene.second(1);
        }
        // Not sampled yet, and in every window nevertheless.
        scene.request(150);
        assert_eq!(scene.window(Window::TenSeconds), (11, 150, 10));
        assert_eq!(scene.window(Window::Minute), (61, 150, 60));
        assert_eq!(scene.window(Window::Sale), (102, 200, 100));
        assert_eq!(scene.window(Window::Start), (102, 200, 100));
    }

    #[test]
    fn a_new_sale_begins_a_new_window_without_losing_its_first_second() {
        let mut scene = Scene::new();
        scene.request(1);
        scene.second(1);
        scene.request(2);
        scene.second(1);
        scene.request(3);
        scene.second(2);
        assert_eq!(scene.window(Window::Sale), (1, 3, 1));
        scene.request(4);
        assert_eq!(scene.window(Window::Sale), (2, 4, 1));
        assert_eq!(scene.window(Window::Start).0, 4);
    }

    #[test]
    fn the_end_of_a_sale_is_no_beginning_of_another() {
        let mut scene = Scene::new();
        scene.second(1);
        scene.request(1);
        scene.second(2);
        scene.request(2);
        scene.second(1);
        scene.request(3);
        assert_eq!(scene.window(Window::Sale).0, 3);
    }

    #[test]
    fn the_first_sale_of_a_server_that_waited_begins_a_window() {
        let mut scene = Scene::new();
        scene.request(1);
        scene
            .history
            .sample(SECOND_US, scene.registry.merged(), None);
        scene.request(2);
        scene.seconds = 1;
        scene.second(7);
        assert_eq!(scene.window(Window::Sale), (1, 2, 1));
    }

    #[test]
    fn the_window_of_a_sale_stays_when_it_is_over() {
        let mut scene = Scene::new();
        scene.second(1);
        scene.request(1);
        scene
            .history
            .sample(2 * SECOND_US, scene.registry.merged(), None);
        assert_eq!(scene.window(Window::Sale).0, 1);
    }

    #[test]
    fn a_sample_returns_the_counts_since_the_one_before() {
        let scene = Scene::new();
        let mut history = History::new(0);
        scene.request(5);
        let (between, passed_us) = history.sample(SECOND_US, scene.registry.merged(), None);
        assert_eq!((between.of(SERIES).count(), passed_us), (1, SECOND_US));
        scene.request(5);
        scene.request(5);
        let (between, passed_us) = history.sample(4 * SECOND_US, scene.registry.merged(), None);
        assert_eq!((between.of(SERIES).count(), passed_us), (2, 3 * SECOND_US));
    }

    #[test]
    fn every_window_has_its_name() {
        for (name, window) in Window::NAMES {
            assert_eq!((Window::named(name), window.name()), (Some(window), name));
        }
        assert_eq!(Window::named("2m"), None);
    }
}
