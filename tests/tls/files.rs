//! Certificates and keys that cannot be used: the server says why, and has touched nothing.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::Signal;

use crate::certificates::Authority;
use crate::server::{Place, Server};
use crate::tls::encrypted::place;

/// The start must fail with `code` because of `key`, and say all of `words`.
#[track_caller]
fn refused(place: &Place, code: i32, key: &str, words: &[&str]) {
    let (given, said) = place.failure(&["serve"]);
    assert_eq!(given, Some(code), "{said}");
    for word in [key].iter().chain(words) {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    assert!(!place.journal_dir().exists(), "nothing was written");
}

#[test]
fn one_file_is_not_enough() {
    for (given, missing) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        let variable = format!("SERVER_{}", given.to_uppercase());
        let place = Place::new(&[(&variable, "x.pem")]);
        let missing = format!("given together with server.{missing}");
        refused(
            &place,
            78,
            &format!("server.{given} = \"x.pem\""),
            &[&missing],
        );
    }
}

#[test]
fn a_file_must_hold_what_it_should() {
    let authority = Authority::new();
    let other_key = authority.sign("localhost").1;
    for (file, text, key, word) in [
        ("cert.pem", None, "server.tls_cert", "cannot be read"),
        ("key.pem", None, "server.tls_key", "cannot be read"),
        (
            "cert.pem",
            Some(""),
            "server.tls_cert",
            "holds no certificate",
        ),
        (
            "cert.pem",
            Some("no PEM"),
            "server.tls_cert",
            "holds no certificate",
        ),
        (
            "cert.pem",
            Some(&*other_key),
            "server.tls_cert",
            "holds no certificate",
        ),
        (
            "key.pem",
            Some(""),
            "server.tls_key",
            "holds no private key",
        ),
        (
            "key.pem",
            Some(&*authority.pem),
            "server.tls_key",
            "holds no private key",
        ),
        (
            "key.pem",
            Some(&*other_key),
            "server.tls_key",
            "does not belong to the certificate",
        ),
    ] {
        let place = place(&authority);
        let path = place.path().join(file);
        match text {
            None => fs::remove_file(path).expect("a file"),
            Some(text) => fs::write(path, text).expect("a file"),
        }
        // Not that of a wrong configuration, which a service manager does not try again.
        refused(
            &place,
            1,
            key,
            &[&format!("{file:?}"), word, "it must be a PEM file"],
        );
    }
}

/// Puts a certificate into `place` that is good from the one year to the other.
fn put_dated(place: &Place, from: i32, to: i32) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let cert = params.self_signed(&key).expect("a certificate");
    fs::write(place.path().join("cert.pem"), cert.pem()).expect("a file");
    fs::write(place.path().join("key.pem"), key.serialize_pem()).expect("a file");
}

/// The line of the log with `words` must be an error.
#[track_caller]
fn is_error(server: &Server, words: &str) {
    server.wait_for_log(words);
    let log = server.log();
    let line = log.lines().find(|line| line.contains(words));
    assert!(line.is_some_and(|line| line.contains("ERROR")), "{log}");
}

#[test]
fn a_certificate_out_of_its_dates_is_shown_and_told_of() {
    for (from, to, word) in [
        (2000, 2001, "has expired"),
        (3000, 3001, "is not valid yet"),
    ] {
        let place = place(&Authority::new());
        put_dated(&place, from, to);
        let server = Server::start_in(place);
        is_error(&server, word);
        let port = server.addr().port().to_string();
        server.place().report(&["--port", &port, "healthcheck"]);
    }
}

#[test]
fn an_outdated_certificate_does_not_replace_a_valid_one() {
    let server = Server::start_in(place(&Authority::new()));
    put_dated(server.place(), 2000, 2001);
    server.signal(Signal::HUP);
    is_error(&server, "the certificate stays as it was");
    let port = server.addr().port().to_string();
    let (_, said) = server.place().failure(&["--port", &port, "healthcheck"]);
    assert!(said.contains("another certificate"), "{said}");
}
