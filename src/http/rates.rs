//! Limits of rates: whom a request counts for, and the answer to one too many.

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use super::problem::Problem;
use crate::limiter::{LimitExceeded, Limiter};
use crate::telemetry::{Outcome, WorkerTelemetry};
use crate::types::LimitedBy;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits of one request, which count it once they are asked.
///
/// What is public is answered first: a handler asks only where the answer is not the same for everybody.
#[derive(Clone, Copy)]
pub(super) struct RequestLimits<'r> {
    pub(super) limiter: &'r Limiter,
    pub(super) telemetry: &'r WorkerTelemetry,
    /// The address of the client.
    pub(super) address: IpAddr,
    /// The time at which the request began.
    pub(super) now_ns: u64,
}

impl RequestLimits<'_> {
    /// Counts the request for its address, and for `user` if that is known: the user that was proven, or else claimed.
    ///
    /// # Errors
    /// When one of both has done too much.
    pub(super) fn admit(&self, user: Option<&str>) -> Result<(), Problem> {
        let of_address = self.limiter.arrive_from(self.address, self.now_ns);
        let counted = of_address.and_then(|()| match user {
            None => Ok(()),
            Some(user) => self.limiter.arrive_of(user, self.now_ns),
        });
        counted.map_err(|exceeded| self.refuse(exceeded))
    }

    /// Counts the request for `user` alone.
    ///
    /// # Errors
    /// When the user has done too much.
    pub(super) fn admit_user(&self, user: &str) -> Result<(), Problem> {
        let counted = self.limiter.arrive_of(user, self.now_ns);
        counted.map_err(|exceeded| self.refuse(exceeded))
    }

    fn refuse(&self, exceeded: LimitExceeded) -> Problem {
        self.telemetry.request_limited(exceeded.by);
        refusal(exceeded)
    }
}

fn refusal(exceeded: LimitExceeded) -> Problem {
    let message = match exceeded.by {
        LimitedBy::Address => "Too many requests from this address; wait a moment",
        LimitedBy::User => "Too many requests of this user; wait a moment",
    };
    let name = exceeded.by.name();
    let seconds = exceeded.wait_ns.div_ceil(1_000_000_000).max(1);
    let (quota, window) = (exceeded.limit.burst, exceeded.limit.window_seconds());
    let (status, outcome) = (StatusCode::TOO_MANY_REQUESTS, Outcome::RateLimited);
    let fields = [
        (&RATE_LIMIT, format!("\"{name}\";r=0;t={seconds}")),
        (
            &RATE_LIMIT_POLICY,
            format!("\"{name}\";q={quota};w={window}"),
        ),
    ];
    let problem = Problem::new(status, outcome, message).retry_after(seconds);
    fields.into_iter().fold(problem, |problem, (name, value)| {
        let value = HeaderValue::try_from(value).expect("digits and a name");
        problem.with_header(name.clone(), value)
    })
}
