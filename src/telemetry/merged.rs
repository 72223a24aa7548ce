//! The sums of all threads' counts.

use super::{Counts, Group, LatencySummary, Outcome, Route, Series, Stage};

/// The counts of every series at one moment, or of the time between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged(Vec<Counts>);

impl Default for Merged {
    fn default() -> Self {
        Self(vec![Counts::default(); Series::COUNT])
    }
}

impl Merged {
    /// The counts of one series.
    #[must_use]
    pub fn of(&self, series: Series) -> &Counts {
        &self.0[series.index()]
    }

    /// Adds `counts` to one series.
    pub fn add_to(&mut self, series: Series, counts: &Counts) {
        if !counts.is_empty() {
            self.of_mut(series).add(counts);
        }
    }

    pub(super) fn of_mut(&mut self, series: Series) -> &mut Counts {
        &mut self.0[series.index()]
    }

    /// Returns the counts since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let series = self.0.iter().zip(&earlier.0);
        Self(series.map(|(now, then)| now.since(then)).collect())
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        let series = self.0.iter_mut().zip(&other.0);
        for (sum, more) in series.filter(|(_, more)| !more.is_empty()) {
            sum.add(more);
        }
    }

    /// The requests that were counted, by route and then by outcome.
    pub fn requests(&self) -> impl Iterator<Item = (Route, Outcome, &Counts)> {
        self.filled().filter_map(|(series, counts)| match series {
            Series::Request(route, outcome) => Some((route, outcome, counts)),
            Series::Stage(_) => None,
        })
    }

    /// The stages that were counted.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &Counts)> {
        self.filled().filter_map(|(series, counts)| match series {
            Series::Stage(stage) => Some((stage, counts)),
            Series::Request(..) => None,
        })
    }

    /// The series that have counts, in the order of their numbers.
    pub fn filled(&self) -> impl Iterator<Item = (Series, &Counts)> {
        let filled = Series::all().zip(&self.0);
        filled.filter(|(_, counts)| !counts.is_empty())
    }

    /// All requests of one group.
    #[must_use]
    pub fn group(&self, group: Group) -> Counts {
        let mut sum = Counts::default();
        for (route, outcome, counts) in self.requests() {
            if Group::of(route, outcome) == group {
                sum.add(counts);
            }
        }
        sum
    }

    /// The requests in a few figures, by route and then by outcome.
    pub fn summaries(&self) -> impl Iterator<Item = (Route, Outcome, LatencySummary)> + '_ {
        self.requests()
            .map(|(route, outcome, counts)| (route, outcome, counts.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::TelemetryRegistry;
    use super::*;

    #[test]
    fn groups_are_kept_apart() {
        let registry = TelemetryRegistry::new();
        let worker = registry.add_worker();
        worker.record(Route::Checkout, Outcome::ItemSoldOut, 10);
        worker.record(Route::Checkout, Outcome::ItemSoldOut, 10);
        worker.record(Route::Checkout, Outcome::Accepted, 3000);
        worker.record(Route::Purchase, Outcome::Replayed, 20);
        worker.record(Route::Health, Outcome::Ok, 7);
        let merged = registry.merged();
        let counts = Group::ALL.iter().map(|&group| merged.group(group).count());
        assert_eq!(counts.collect::<Vec<_>>(), [1, 0, 1, 2, 1]);
        assert_eq!(merged.group(Group::Checkouts).sum(), 3000);
        worker.record(Route::Purchase, Outcome::Sold, 9000);
        let merged = registry.merged();
        assert_eq!(merged.group(Group::Checkouts).sum(), 3000);
        assert_eq!(merged.group(Group::Purchases).sum(), 9000);
        let counts = Group::ALL.iter().map(|&group| merged.group(group).count());
        assert_eq!(counts.collect::<Vec<_>>(), [1, 1, 1, 2, 1]);
    }

    #[test]
    fn what_came_between_is_the_difference() {
        let registry = TelemetryRegistry::new();
        let worker = registry.add_worker();
        worker.record(Route::Page, Outcome::Ok, 1);
        let before = registry.merged();
        worker.record(Route::Page, Outcome::Ok, 2);
        worker.record_stage(Stage::Parse, 5);
        let since = registry.merged().since(&before);
        let page = since.of(Series::Request(Route::Page, Outcome::Ok));
        assert_eq!((page.count(), page.max()), (1, 2));
        assert_eq!(since.stages().count(), 1);
        let mut sum = before;
        sum.add(&since);
        assert_eq!(sum, registry.merged());
    }
}
