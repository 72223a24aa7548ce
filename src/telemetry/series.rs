//! The series: distributions that are counted apart.

use super::{Class, Outcome, Route, Stage};

/// One distribution of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// Requests to a route with one outcome, from their head to their answer.
    Request(Route, Outcome),
    /// Durations of one stage.
    Stage(Stage),
}

impl Series {
    /// The number of series.
    pub const COUNT: usize = REQUESTS + Stage::ALL.len();

    /// A number below [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Request(route, outcome) => route as usize * Outcome::ALL.len() + outcome as usize,
            Self::Stage(stage) => REQUESTS + stage as usize,
        }
    }

    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        let requests = Route::ALL.iter().flat_map(|&route| {
            let outcomes = Outcome::ALL.iter();
            outcomes.map(move |&outcome| Self::Request(route, outcome))
        });
        requests.chain(Stage::ALL.iter().map(|&stage| Self::Stage(stage)))
    }

    /// The class of the requests that it counts.
    #[must_use]
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Request(route, outcome) => Some(Class::of(route, outcome)),
            Self::Stage(_) => None,
        }
    }

    /// Returns whether it belongs to the way of those who buy, where nothing may be allocated: there is room for
    /// it from the start.
    pub(super) fn is_hot(self) -> bool {
        use Outcome::{
            Accepted, AllItemsSold, AlreadyProcessed, CheckoutExpired, CheckoutNotFound, Draining,
            ItemAlreadyInCheckout, ItemHeld, ItemNotFound, ItemSoldOut, JournalUnavailable,
            Overloaded, Replayed, SaleNotActive, SalePaused, Sold, UserLimitExceeded,
            ValidationFailed,
        };
        match self {
            Self::Request(
                _,
                ValidationFailed | SaleNotActive | SalePaused | JournalUnavailable,
            )
            | Self::Request(_, Overloaded | Draining) => self.class() == Some(Class::Refused),
            Self::Request(Route::Checkout, outcome) => matches!(
                outcome,
                Accepted
                    | ItemNotFound
                    | UserLimitExceeded
                    | ItemAlreadyInCheckout
                    | ItemSoldOut
                    | ItemHeld
            ),
            Self::Request(Route::Purchase, outcome) => matches!(
                outcome,
                Sold | Replayed
                    | CheckoutNotFound
                    | AllItemsSold
                    | CheckoutExpired
                    | AlreadyProcessed
            ),
            Self::Request(..) => false,
            Self::Stage(stage) => {
                matches!(stage, Stage::Parse | Stage::Decide | Stage::CommitWait)
            }
        }
    }
}

const REQUESTS: usize = Route::ALL.len() * Outcome::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_agree() {
        let numbers: Vec<_> = Series::all().map(Series::index).collect();
        assert_eq!(numbers, (0..Series::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn there_is_room_for_all_who_get_what_they_ask_for() {
        let granted = [Class::Confirmed, Class::Repeated].map(Some);
        let granted: Vec<_> = Series::all()
            .filter(|series| granted.contains(&series.class()))
            .filter(|series| series.is_hot())
            .collect();
        assert_eq!(
            granted,
            [
                Series::Request(Route::Checkout, Outcome::Accepted),
                Series::Request(Route::Purchase, Outcome::Sold),
                Series::Request(Route::Purchase, Outcome::Replayed),
            ]
        );
        assert!(!Series::Request(Route::Page, Outcome::Draining).is_hot());
    }
}
