//! Authentication of administrators by their bearer token. Addresses are not trusted.

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::failures::Failures;
use crate::env::Secret;
use crate::http::bearer::Bearer;
use crate::http::problem::Problem;
use crate::telemetry::Outcome;
use crate::types::Network;

/// The holders of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum TokenHolder {
    /// The shop that the server sells for.
    Shop,
    /// Administrators, to whom everything is open that is open to the shop.
    Admin,
}

/// Checks the token of requests, and locks out networks that fail too often.
#[derive(Debug)]
pub(super) struct Authenticator {
    /// The expected token, which a reload may replace at any time.
    token: Secret,
    /// The token of the shop, if it has one.
    shop_token: Option<Secret>,
    failures: Failures,
}

impl Authenticator {
    /// Creates an authenticator that expects `token`.
    pub(super) fn new(token: Secret) -> Self {
        Self {
            token,
            shop_token: None,
            failures: Failures::default(),
        }
    }

    /// Sets the token of the shop.
    pub(super) fn with_shop_token(self, shop_token: Option<Secret>) -> Self {
        Self { shop_token, ..self }
    }

    /// Returns an error unless the request has the token of `least`, or of an administrator.
    pub(super) fn check(
        &self,
        client: IpAddr,
        headers: &HeaderMap,
        least: TokenHolder,
        now_us: u64,
    ) -> Result<(), Problem> {
        let given = digest(match Bearer::of(headers) {
            Bearer::Token(token) => token,
            Bearer::Missing | Bearer::Several => &[],
        });
        let is_given = |token: &Secret| -> bool {
            let expected = digest(token.get().expose_secret().as_bytes());
            given.ct_eq(&expected).into()
        };
        let shop_token = self.shop_token.as_ref();
        // Where both are the same text, it is the shop's: it never opens more than that.
        let is_open = match shop_token.is_some_and(is_given) {
            true => least == TokenHolder::Shop,
            false => is_given(&self.token),
        };
        // Before the lock-out: behind a proxy all clients may have one address.
        if is_open {
            return Ok(());
        }
        let network = Network::of(client);
        if let Some(seconds) = self.failures.locked_out_seconds(network, now_us) {
            return Err(too_many_failures(seconds));
        }
        if self.failures.add(network, now_us) {
            tracing::warn!(address = %client, "the token of /admin was wrong too often: requests from this network without the right one get 429 for a minute");
        }
        Err(Problem::unauthorized())
    }
}

/// Digests are compared instead of tokens, so that not even the length shows in the time it takes.
fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn too_many_failures(seconds: u64) -> Problem {
    let (status, outcome) = (StatusCode::TOO_MANY_REQUESTS, Outcome::TooManyFailures);
    let message = "The token was wrong too often; wait before the next attempt";
    Problem::new(status, outcome, message).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

    use super::*;
    use crate::http::problem::ProblemFormat;
    use crate::limits::AUTHENTICATION_FAILURES_MAX;

    const TOKEN: &str = "0123456789abcdef";

    /// Returns the status of a request with these headers; 200 for one with the token.
    fn status(
        authenticator: &Authenticator,
        address: &str,
        headers: &[(&'static str, &'static str)],
    ) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            map.append(name, HeaderValue::from_static(value));
        }
        let client = address.parse().expect("an address");
        match authenticator.check(client, &map, TokenHolder::Admin, 0) {
            Ok(()) => 200,
            Err(problem) => problem
                .into_answer(ProblemFormat::Plain)
                .response
                .status()
                .as_u16(),
        }
    }

    #[test]
    fn a_token_must_be_the_right_one() {
        for (headers, expected) in [
            (&[("authorization", "Bearer 0123456789abcdef")][..], 200),
            (&[("authorization", "bearer 0123456789abcdef")], 200),
            (
                &[
                    ("authorization", "Bearer 0123456789abcdef"),
                    ("origin", "http://a"),
                ],
                200,
            ),
            (&[], 401),
            (&[("authorization", "0123456789abcdef")], 401),
            (&[("authorization", "Basic 0123456789abcdef")], 401),
            (&[("authorization", "Bearer")], 401),
            (&[("authorization", "Bearer ")], 401),
            (&[("authorization", "Bearer 0123456789abcde")], 401),
            (&[("authorization", "Bearer 0123456789abcdef0")], 401),
            (&[("authorization", "Bearer  0123456789abcdef")], 401),
            (
                &[
                    ("authorization", "Bearer 0123456789abcdef"),
                    ("authorization", "Bearer 0123456789abcdef"),
                ],
                401,
            ),
        ] {
            let authenticator = Authenticator::new(TOKEN.into());
            assert_eq!(
                status(&authenticator, "127.0.0.1", headers),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn the_token_of_the_shop_opens_what_is_for_shops_alone() {
        let shop = Some("fedcba9876543210".into());
        let authenticator = Authenticator::new(TOKEN.into()).with_shop_token(shop);
        let client = IpAddr::from([192, 0, 2, 1]);
        let is_open = |token: &str, least| {
            let mut map = HeaderMap::new();
            let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
            map.insert(AUTHORIZATION, value);
            authenticator.check(client, &map, least, 0).is_ok()
        };
        for (token, of_shop, of_admin) in [
            (TOKEN, true, true),
            ("fedcba9876543210", true, false),
            ("fedcba987654321", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_open(token, TokenHolder::Shop), of_shop, "{token}");
            assert_eq!(is_open(token, TokenHolder::Admin), of_admin, "{token}");
        }
    }

    #[test]
    fn the_token_of_the_shop_opens_no_more_where_that_of_administration_is_the_same() {
        let authenticator = Authenticator::new(TOKEN.into()).with_shop_token(Some(TOKEN.into()));
        let client = IpAddr::from([192, 0, 2, 1]);
        let mut map = HeaderMap::new();
        let value = HeaderValue::from_static("Bearer 0123456789abcdef");
        map.insert(AUTHORIZATION, value);
        let is_open = |least| authenticator.check(client, &map, least, 0).is_ok();
        assert!(is_open(TokenHolder::Shop));
        assert!(!is_open(TokenHolder::Admin));
    }

    #[test]
    fn a_network_that_fails_too_often_is_locked_out() {
        let authenticator = Authenticator::new(TOKEN.into());
        let right = [("authorization", "Bearer 0123456789abcdef")];
        for _ in 0..AUTHENTICATION_FAILURES_MAX {
            assert_eq!(status(&authenticator, "192.0.2.1", &right), 200);
            assert_eq!(status(&authenticator, "192.0.2.1", &[]), 401);
        }
        assert_eq!(status(&authenticator, "192.0.2.1", &[]), 429);
        assert_eq!(status(&authenticator, "192.0.2.2", &[]), 401);
        // Behind a proxy everybody has the same address.
        assert_eq!(status(&authenticator, "192.0.2.1", &right), 200);
    }

    #[test]
    fn the_token_is_not_in_the_debug_output() {
        let authenticator = format!("{:?}", Authenticator::new(TOKEN.into()));
        assert!(!authenticator.contains(TOKEN), "{authenticator}");
    }
}
