//! A sale for every interval of the wall clock, one after the other.

use crate::sale::{CatalogueKind, CreateError, Engine, NewCatalogue, NewSale, SaleTerms};
use crate::types::{Lsn, PaymentTerms, Timestamp};

/// Bit of a generated sale's seed that marks a sale which an administrator added: the rotation ignores it.
pub const ADDED_SEED: u64 = 1 << 63;

/// Longest time before its start at which the rotation creates a sale.
const AHEAD_US_MAX: i64 = 5_000_000;

/// The terms of the sales that the schedule creates, one for each interval; also the defaults of sales that
/// administrators create.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Length of an interval, in seconds. Intervals are counted from 1970, so that hours begin on
    /// the hour.
    pub interval_seconds: u32,
    /// Items of each sale.
    pub item_count: u32,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// Seconds that a checkout holds its units; 0 for not at all.
    pub hold_seconds: u32,
    /// The terms of paying.
    pub payment: PaymentTerms,
    /// The seed that determines the items, together with the sale's start.
    pub seed: u64,
}

/// The time from a sale's start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: Timestamp,
    end: Timestamp,
}

impl Rotation {
    /// Returns the start of the interval that contains `now`.
    #[must_use]
    pub fn start_of(&self, now: Timestamp) -> Timestamp {
        let interval = i64::from(self.interval_seconds);
        Timestamp::from_seconds(now.seconds().div_euclid(interval) * interval)
    }

    /// Returns when the rotation is due next: shortly before the next interval.
    #[must_use]
    pub fn next_turn(&self, now: Timestamp) -> Timestamp {
        let next = self.start_of(Timestamp(now.0 + self.ahead_us()));
        self.turn_before(next.plus_seconds(self.interval_seconds))
    }

    /// Returns when the rotation is due because an interval begins at `boundary`.
    pub(super) fn turn_before(&self, boundary: Timestamp) -> Timestamp {
        Timestamp(boundary.0 - self.ahead_us())
    }

    /// Creates the sale of the present interval, and that of the next one shortly before it begins, where they are
    /// missing. Returns the record of the last sale that it created.
    ///
    /// # Errors
    /// A sale could not be created; call again.
    pub fn run(&self, engine: &Engine) -> Result<Option<Lsn>, CreateError> {
        let now = engine.clock().now();
        let current = self.ensure(engine, now)?;
        let next = self.ensure(engine, Timestamp(now.0 + self.ahead_us()))?;
        Ok(next.or(current))
    }

    /// Returns when the next sale has to begin: at the end of the rotation's newest sale, or, without one, at the
    /// start of the present interval.
    #[must_use]
    pub fn due(&self, engine: &Engine, now: Timestamp) -> Timestamp {
        let sales = engine.sales();
        let ended = engine.ended();
        let newest_ended = ended.newest_first().map(|sale| sale.terms);
        let own = |terms: &SaleTerms| is_of_rotation(terms) && terms.started_at <= now;
        let in_memory = sales.iter().map(|sale| sale.terms()).filter(own);
        // Many sales have left memory, and the newest of them is enough.
        let last = in_memory.chain(newest_ended.filter(own).take(1));
        let end = last.map(|terms| terms.ended_at).max();
        end.unwrap_or_else(|| self.start_of(now))
    }

    fn ahead_us(&self) -> i64 {
        (i64::from(self.interval_seconds) * 500_000).min(AHEAD_US_MAX)
    }

    fn ensure(&self, engine: &Engine, at: Timestamp) -> Result<Option<Lsn>, CreateError> {
        let Some(Span { start, end }) = self.missing_of(engine, at) else {
            return Ok(None);
        };
        let decision = engine.create_sale(&NewSale {
            started_at: start,
            ended_at: end,
            max_items_per_user: self.max_items_per_user,
            hold_seconds: self.hold_seconds,
            payment: self.payment,
            catalogue: NewCatalogue::Generated {
                item_count: self.item_count,
                seed: self.seed_of(start),
            },
        })?;
        let sale = decision.outcome;
        tracing::info!(sale = %sale.id(), from = %start, until = %end, "sale created");
        Ok(decision.lsn)
    }

    fn missing_of(&self, engine: &Engine, at: Timestamp) -> Option<Span> {
        let sales = engine.sales();
        // A sale that was closed before its end may have left memory.
        let ended = engine.ended();
        let in_memory = sales.iter().map(|sale| sale.terms());
        let all = in_memory.chain(ended.newest_first().map(|sale| sale.terms));
        let own = all.filter(is_of_rotation);
        let spans = own.map(|terms| Span {
            start: terms.started_at,
            end: terms.ended_at,
        });
        self.missing(at, spans)
    }

    /// Returns the span of the sale that is missing at `at`, unless one of `own` covers `at`: the interval, less
    /// what other sales have of it after the length of the interval was changed.
    fn missing(&self, at: Timestamp, own: impl Iterator<Item = Span>) -> Option<Span> {
        let start = self.start_of(at);
        let mut span = Span {
            start,
            end: start.plus_seconds(self.interval_seconds),
        };
        for other in own {
            if other.start > at {
                span.end = span.end.min(other.start);
            } else if other.end <= at {
                span.start = span.start.max(other.end);
            } else {
                return None;
            }
        }
        Some(span)
    }

    fn seed_of(&self, start: Timestamp) -> u64 {
        (self.seed ^ start.seconds().cast_unsigned()) & !ADDED_SEED
    }
}

/// Returns whether the rotation created a sale, with whatever interval and seed, and not an administrator.
pub(super) fn is_of_rotation(terms: &SaleTerms) -> bool {
    matches!(terms.catalogue, CatalogueKind::Generated { seed, .. } if seed & ADDED_SEED == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every(interval_seconds: u32) -> Rotation {
        Rotation {
            interval_seconds,
            item_count: 1,
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            seed: 0,
        }
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn span(start: i64, end: i64) -> Span {
        let (start, end) = (seconds(start), seconds(end));
        Span { start, end }
    }

    #[test]
    fn a_changed_interval_neither_overlaps_nor_leaves_a_gap() {
        let old = [span(0, 3600)];
        let missing = |at, own: &[Span]| every(1800).missing(seconds(at), own.iter().copied());
        assert_eq!(missing(1900, &old), None);
        assert_eq!(missing(3600, &old), Some(span(3600, 5400)));
        let old = [span(1800, 3600), span(3600, 5400)];
        let missing = |at, own: &[Span]| every(7200).missing(seconds(at), own.iter().copied());
        assert_eq!(missing(5399, &old), None);
        assert_eq!(missing(5400, &old), Some(span(5400, 7200)));
        assert_eq!(missing(1000, &old), Some(span(0, 1800)));
    }

    #[test]
    fn the_next_turn_comes_before_the_next_interval() {
        let rotation = every(3600);
        assert_eq!(rotation.next_turn(seconds(10)), seconds(3595));
        assert_eq!(rotation.next_turn(seconds(3595)), seconds(7195));
        assert_eq!(every(1).next_turn(seconds(10)), Timestamp(10_500_000));
        assert_eq!(
            every(1).next_turn(Timestamp(10_500_000)),
            Timestamp(11_500_000)
        );
    }

    proptest! {
        /// Every checked moment is covered afterwards and no two spans overlap, wherever the clock goes and however
        /// long intervals become.
        #[test]
        fn spans_cover_and_never_overlap(checks in prop::collection::vec((0_i64..100_000, 1_u32..5_000), 1..40)) {
            let mut spans: Vec<Span> = Vec::new();
            for (at, interval) in checks {
                let at = seconds(at);
                spans.extend(every(interval).missing(at, spans.iter().copied()));
                let covering = spans.iter().filter(|span| span.start <= at && at < span.end);
                prop_assert_eq!(covering.count(), 1);
                for (index, one) in spans.iter().enumerate() {
                    prop_assert!(one.start < one.end);
                    for other in &spans[..index] {
                        prop_assert!(one.end <= other.start || other.end <= one.start);
                    }
                }
            }
        }
    }
}
