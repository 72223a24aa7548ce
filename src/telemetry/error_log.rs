//! Answers that say that something is wrong on our side, written to the log without flooding it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{array, fmt};

use super::{Outcome, RefusedConnections, Route};

/// Counts such answers, and says so in one line a second for each kind. Workers only count: whoever reads
/// the log may be slow, and no buyer should wait for that.
#[derive(Debug)]
pub struct ErrorLog {
    /// By the numbers of the outcomes.
    kinds: [OutcomeErrors; Outcome::ALL.len()],
    connections: RefusedConnections,
}

#[derive(Debug, Default)]
struct OutcomeErrors {
    answers: AtomicU64,
    /// The route and the status of the last one.
    last: AtomicU64,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            kinds: array::from_fn(|_| OutcomeErrors::default()),
            connections: RefusedConnections::default(),
        }
    }
}

impl ErrorLog {
    /// A request to `route` was answered with `status`.
    pub fn answered(&self, route: Route, outcome: Outcome, status: u16) {
        let kind = &self.kinds[outcome as usize];
        let last = (route as u64) << 16 | u64::from(status);
        kind.last.store(last, Relaxed);
        kind.answers.fetch_add(1, Relaxed);
    }

    /// The connections that were refused before any request.
    pub fn connections(&self) -> &RefusedConnections {
        &self.connections
    }

    /// Writes what was answered and refused since the call before. To be called once a second, and when no more will be
    /// answered.
    pub fn write(&self) {
        for (outcome, kind) in Outcome::ALL.iter().zip(&self.kinds) {
            let answers = kind.answers.swap(0, Relaxed);
            if answers == 0 {
                continue;
            }
            let last = kind.last.load(Relaxed);
            let (route, status) = (Route::ALL.get((last >> 16) as usize), last & 0xffff);
            let (outcome, route) = (outcome.as_str(), route.map_or("", |route| route.as_str()));
            let requests = Requests(answers);
            tracing::warn!(
                outcome,
                status,
                answers,
                last_route = route,
                "{requests} answered {status} {outcome}"
            );
        }
        self.connections.write();
    }
}

/// So many requests were.
struct Requests(u64);

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => write!(f, "a request was"),
            count => write!(f, "{} requests were", grouped(count)),
        }
    }
}

/// A number with commas between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn many_are_one_line_and_told_once() {
        let errors = ErrorLog::default();
        (0..5).for_each(|_| errors.answered(Route::Checkout, Outcome::Overloaded, 503));
        let waiting = || errors.kinds.iter().map(|kind| kind.answers.load(Relaxed));
        assert_eq!(waiting().sum::<u64>(), 5);
        errors.write();
        assert_eq!(waiting().sum::<u64>(), 0);
    }

    #[test]
    fn answers_are_told_in_words() {
        for (count, text) in [
            (1, "a request was"),
            (999, "999 requests were"),
            (1000, "1,000 requests were"),
            (9_123_456, "9,123,456 requests were"),
        ] {
            assert_eq!(Requests(count).to_string(), text);
        }
    }
}
