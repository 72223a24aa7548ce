//! Latencies by request and outcome: one distribution over all of them would be that of the most frequent
//! answer.

use flashsale::telemetry::Outcome;
use hdrhistogram::Histogram;

use super::answer::{Class, Kind, class};

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
pub(super) const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// An empty histogram of nanoseconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are possible")
}

/// The latencies of some answers, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the planned moment to the whole answer.
    pub corrected_ns: Histogram<u64>,
    /// From sending to the whole answer.
    pub service_ns: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            corrected_ns: histogram(),
            service_ns: histogram(),
        }
    }
}

impl Latencies {
    /// Returns how many answers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.service_ns.len()
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.corrected_ns, &other.corrected_ns),
            (&mut self.service_ns, &other.service_ns),
        ] {
            mine.add(theirs).expect("the same bounds");
        }
    }
}

/// The latencies of all answers. An answer that the interface does not describe has no outcome.
#[derive(Clone, Debug)]
pub struct Answers {
    /// A cell for each outcome and one for none, by kind; made when the first such answer comes.
    cells: [Vec<Option<Box<Latencies>>>; Kind::ALL.len()],
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            cells: std::array::from_fn(|_| vec![None; Outcome::ALL.len() + 1]),
        }
    }
}

impl Answers {
    /// Records an answer.
    pub(super) fn record(
        &mut self,
        kind: Kind,
        outcome: Option<Outcome>,
        corrected_ns: u64,
        service_ns: u64,
    ) {
        let latencies = self.cell(kind, outcome).get_or_insert_default();
        latencies.corrected_ns.saturating_record(corrected_ns);
        latencies.service_ns.saturating_record(service_ns);
    }

    /// Adds what another thread has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, outcome, latencies) in other.iter() {
            self.cell(kind, outcome)
                .get_or_insert_default()
                .add(latencies);
        }
    }

    fn cell(&mut self, kind: Kind, outcome: Option<Outcome>) -> &mut Option<Box<Latencies>> {
        let place = outcome.map_or(Outcome::ALL.len(), |outcome| outcome as usize);
        &mut self.cells[kind as usize][place]
    }

    /// Each kind of answer that came.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, Option<Outcome>, &Latencies)> {
        Kind::ALL.into_iter().flat_map(|kind| {
            let outcomes = Outcome::ALL.iter().copied().map(Some).chain([None]);
            let cells = outcomes.zip(&self.cells[kind as usize]);
            cells.filter_map(move |(outcome, cell)| Some((kind, outcome, cell.as_deref()?)))
        })
    }

    /// Returns how many answers have this outcome.
    #[must_use]
    pub fn count(&self, kind: Kind, outcome: Outcome) -> u64 {
        let cell = &self.cells[kind as usize][outcome as usize];
        cell.as_ref().map_or(0, |latencies| latencies.count())
    }

    /// Returns how many answers `wanted` is true for.
    pub(super) fn count_where(&self, wanted: impl Fn(Kind, Option<Outcome>) -> bool) -> u64 {
        let those = self
            .iter()
            .filter(|&(kind, outcome, _)| wanted(kind, outcome));
        those.map(|(_, _, latencies)| latencies.count()).sum()
    }

    /// The latencies of the answers that `wanted` is true for, added up.
    fn sum_where(&self, wanted: impl Fn(Kind, Option<Outcome>) -> bool) -> Latencies {
        let mut sum = Latencies::default();
        let those = self
            .iter()
            .filter(|&(kind, outcome, _)| wanted(kind, outcome));
        those.for_each(|(_, _, latencies)| sum.add(latencies));
        sum
    }

    /// The latencies of the answers to one kind of request that have this outcome.
    #[must_use]
    pub fn of_outcome(&self, kind: Kind, outcome: Outcome) -> Latencies {
        let cell = &self.cells[kind as usize][outcome as usize];
        cell.as_deref().cloned().unwrap_or_default()
    }

    /// The latencies of all answers to one kind of request.
    #[must_use]
    pub fn of_kind(&self, wanted: Kind) -> Latencies {
        self.sum_where(|kind, _| kind == wanted)
    }

    /// The latencies of all answers of one class.
    #[must_use]
    pub fn of_class(&self, wanted: Class) -> Latencies {
        self.sum_where(|_, outcome| class(outcome) == wanted)
    }

    /// The latencies of all answers.
    #[must_use]
    pub fn all(&self) -> Latencies {
        self.sum_where(|_, _| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_threads_are_added_up_by_outcome() {
        let (mut one, mut two) = (Answers::default(), Answers::default());
        one.record(Kind::Checkout, Some(Outcome::Accepted), 9_000, 1_000);
        two.record(Kind::Checkout, Some(Outcome::Accepted), 8_000, 2_000);
        two.record(Kind::Checkout, Some(Outcome::ItemSoldOut), 100, 100);
        two.record(Kind::Purchase, None, 50, 50);
        one.merge(&two);
        assert_eq!(one.count(Kind::Checkout, Outcome::Accepted), 2);
        assert_eq!(one.count(Kind::Purchase, Outcome::Sold), 0);
        assert_eq!(one.all().count(), 4);
        assert_eq!(one.of_kind(Kind::Checkout).count(), 3);
        let accepted = one.of_outcome(Kind::Checkout, Outcome::Accepted);
        assert_eq!(accepted.count(), 2);
        assert_eq!(one.of_outcome(Kind::Get, Outcome::Ok).count(), 0);
        assert_eq!(one.of_class(Class::Error).count(), 1, "what is not known");
        let ok = one.of_class(Class::Ok);
        assert!(ok.corrected_ns.max() >= 9_000 && ok.service_ns.min() >= 999);
        let seen: Vec<_> = one
            .iter()
            .map(|(kind, outcome, _)| (kind, outcome))
            .collect();
        assert_eq!(
            seen,
            [
                (Kind::Checkout, Some(Outcome::Accepted)),
                (Kind::Checkout, Some(Outcome::ItemSoldOut)),
                (Kind::Purchase, None),
            ]
        );
    }
}
