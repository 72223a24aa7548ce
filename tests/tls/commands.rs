//! The commands that ask a running server: they know it by its certificate, and by nothing else.

use std::fs;

use crate::certificates::Authority;
use crate::server::Server;
use crate::tls::encrypted::{place, server};

#[test]
fn the_server_is_asked_over_tls() {
    let (server, _) = server();
    let port = server.addr().port().to_string();
    server.place().report(&["--port", &port, "healthcheck"]);
    let report = server.place().report(&["--port", &port, "verify"]);
    assert!(report.contains("memory: 1 sale"), "{report}");
}

#[test]
fn another_certificate_is_not_trusted() {
    let authority = Authority::new();
    let server = Server::start_in(place(&authority));
    let port = server.addr().port().to_string();
    // Of the same authority, for the same name.
    let (cert, _) = authority.sign("localhost");
    fs::write(server.place().path().join("cert.pem"), cert).expect("a file");
    let (code, said) = server.place().failure(&["--port", &port, "healthcheck"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(": the server shows another certificate"),
        "{said}"
    );
    assert!(!said.contains("unexpected error"), "{said}");
    let (code, _) = server.place().failure(&["--port", &port, "verify"]);
    assert_eq!(code, Some(2), "memory could not be checked");
}
