//! Who is let in: whoever knows the token, or without one whoever is on this machine.

use std::net::IpAddr;

use hyper::header::{
    AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VIA,
};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Version};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::failures::{Failures, Network};
use crate::env::Secret;
use crate::http::Peer;
use crate::http::problem::Problem;
use crate::telemetry::Outcome;

/// The scheme of the `Authorization` header.
const BEARER: &[u8] = b"bearer ";

/// The guard at the door of administration.
#[derive(Debug)]
pub(super) struct Guard {
    /// It may be replaced at any time.
    token: Option<Secret>,
    failures: Failures,
}

impl Guard {
    /// A guard who asks for `token`, or without one lets in whoever is on this machine.
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self {
            token,
            failures: Failures::default(),
        }
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(
        &self,
        peer: &Peer,
        version: Version,
        headers: &HeaderMap,
        now_us: u64,
    ) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            let is_local = peer.address().is_loopback() && comes_from_here(version, headers);
            return if is_local { Ok(()) } else { Err(forbidden()) };
        };
        let expected = digest(token.get().expose_secret().as_bytes());
        let given = digest(bearer_token(headers).unwrap_or_default());
        // Whoever knows the token is let in whatever others do at the same address, which behind a proxy
        // is everybody's.
        if given.ct_eq(&expected).into() {
            return Ok(());
        }
        let network = Network::of(peer.address());
        if let Some(seconds) = self.failures.locked_out_seconds(network, now_us) {
            return Err(too_many_failures(seconds));
        }
        if self.failures.add(network, now_us) {
            let address = peer.address();
            tracing::warn!(%address, "the token of /admin was wrong too often: not looked at for a while");
        }
        Err(Problem::unauthorized())
    }
}

/// Digests are compared instead of tokens, so that not even the length shows in the time it takes.
fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token that a request brings; `None` when there is none, or more than one.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (given.next()?.as_bytes(), given.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then_some(token)
}

/// Whether a request over loopback was also made on this machine, and by no web page: a page has an
/// `Origin` or, where a foreign name was made to lead here, a foreign `Host`; and what a proxy passes
/// on, most of which say so or speak HTTP/1.0, was made somewhere else.
fn comes_from_here(version: Version, headers: &HeaderMap) -> bool {
    let is_local = |host: &HeaderValue| {
        let authority: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
        authority.is_some_and(|authority| {
            let name = authority.host().trim_matches(['[', ']']);
            let address: Option<IpAddr> = name.parse().ok();
            name.eq_ignore_ascii_case("localhost")
                || address.is_some_and(|address| address.to_canonical().is_loopback())
        })
    };
    let says_so = |name: &HeaderName| {
        [ORIGIN, FORWARDED, VIA].contains(name)
            || name.as_str() == "x-real-ip"
            || name.as_str().starts_with("x-forwarded-")
    };
    let is_relayed = version < Version::HTTP_11 || headers.keys().any(says_so);
    !is_relayed && headers.get_all(HOST).iter().all(is_local)
}

fn forbidden() -> Problem {
    let message = "Administration is open to this machine only, and not to web pages or proxies, \
                   until admin.token is configured";
    Problem::new(StatusCode::FORBIDDEN, Outcome::Forbidden, message)
}

fn too_many_failures(seconds: u64) -> Problem {
    let (status, outcome) = (StatusCode::TOO_MANY_REQUESTS, Outcome::TooManyFailures);
    let message = "The token was wrong too often; wait before the next attempt";
    Problem::new(status, outcome, message).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Format;
    use crate::limits::AUTHENTICATION_FAILURES_MAX;

    const TOKEN: &str = "0123456789abcdef";

    /// The status for a request with these headers, 200 for one that is let in.
    fn status(guard: &Guard, address: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            map.append(name, HeaderValue::from_static(value));
        }
        let peer = Peer::new(address.parse().expect("an address"));
        match guard.check(&peer, Version::HTTP_11, &map, 0) {
            Ok(()) => 200,
            Err(problem) => problem
                .into_answer(Format::Plain)
                .response
                .status()
                .as_u16(),
        }
    }

    #[test]
    fn without_a_token_only_this_machine_is_let_in() {
        let guard = Guard::new(None);
        for (address, expected) in [
            ("127.0.0.1", 200),
            ("::1", 200),
            ("::ffff:127.0.0.1", 200),
            ("192.0.2.1", 403),
            ("::ffff:192.0.2.1", 403),
            ("2001:db8::1", 403),
        ] {
            assert_eq!(status(&guard, address, &[]), expected, "{address}");
        }
    }

    #[test]
    fn without_a_token_neither_web_pages_nor_proxies_are_let_in() {
        let guard = Guard::new(None);
        for (header, expected) in [
            (("host", "localhost:8080"), 200),
            (("host", "localhost"), 200),
            (("host", "127.0.0.1:8080"), 200),
            (("host", "[::1]:8080"), 200),
            (("host", "shop.example"), 403),
            (("host", "localhost.example:80"), 403),
            (("origin", "http://localhost:8080"), 403),
            (("origin", "null"), 403),
            (("forwarded", "for=192.0.2.1"), 403),
            (("x-forwarded-for", "192.0.2.1"), 403),
            (("x-forwarded-proto", "https"), 403),
            (("x-real-ip", "192.0.2.1"), 403),
            (("via", "1.1 proxy"), 403),
            (("host", "192.0.2.1:8080"), 403),
            (("authorization", "Bearer x"), 200),
        ] {
            assert_eq!(
                status(&guard, "127.0.0.1", &[header]),
                expected,
                "{header:?}"
            );
        }
    }

    #[test]
    fn without_a_token_the_simplest_proxy_is_not_let_in() {
        let (guard, peer) = (Guard::new(None), Peer::new([127, 0, 0, 1].into()));
        let check = |version| guard.check(&peer, version, &HeaderMap::new(), 0).is_ok();
        assert!(check(Version::HTTP_11) && !check(Version::HTTP_10));
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
            let guard = Guard::new(Some(TOKEN.into()));
            assert_eq!(
                status(&guard, "127.0.0.1", headers),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn whoever_is_wrong_too_often_is_locked_out() {
        let guard = Guard::new(Some(TOKEN.into()));
        let right = [("authorization", "Bearer 0123456789abcdef")];
        for _ in 0..AUTHENTICATION_FAILURES_MAX {
            assert_eq!(status(&guard, "192.0.2.1", &right), 200);
            assert_eq!(status(&guard, "192.0.2.1", &[]), 401);
        }
        assert_eq!(status(&guard, "192.0.2.1", &[]), 429);
        assert_eq!(status(&guard, "192.0.2.2", &[]), 401);
        // Behind a proxy everybody has the same address.
        assert_eq!(status(&guard, "192.0.2.1", &right), 200);
    }

    #[test]
    fn a_guard_does_not_say_the_token() {
        let guard = format!("{:?}", Guard::new(Some(TOKEN.into())));
        assert!(!guard.contains(TOKEN), "{guard}");
    }
}
