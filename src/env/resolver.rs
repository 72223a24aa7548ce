//! Host names, resolved by the operating system.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Resolves `address`, a `host:port`, to one socket address; to that of the older protocol where there are both,
/// because servers listen on it by default.
///
/// # Errors
/// Says what is wrong with the text, or that the host is not known.
pub fn resolve(address: &str) -> Result<SocketAddr, String> {
    let found = address
        .to_socket_addrs()
        .map_err(|error| why_not_resolved(address, &error))?;
    let found = found.min_by_key(SocketAddr::is_ipv6);
    found.ok_or_else(|| format!("{address:?} has no address"))
}

fn why_not_resolved(address: &str, error: &io::Error) -> String {
    // A URL would be looked up as a host of that name.
    if error.kind() == io::ErrorKind::InvalidInput || address.contains('/') {
        format!("{address:?} must be HOST:PORT, such as localhost:8080 or [::1]:8080")
    } else {
        format!("{address:?}: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_resolved_and_others_are_named() {
        let loopback = "127.0.0.1:8080".parse();
        assert_eq!(
            resolve("localhost:8080"),
            loopback.clone().map_err(|_| String::new())
        );
        assert_eq!(
            resolve("127.0.0.1:8080"),
            loopback.map_err(|_| String::new())
        );
        let error = resolve("a..b:1").expect_err("no host");
        assert!(error.starts_with("\"a..b:1\": "), "{error}");
    }

    #[test]
    fn an_address_without_port_is_told_what_an_address_is() {
        for wrong in [
            "localhost",
            "localhost:http",
            "localhost:",
            "[::1]",
            "",
            "http://localhost:8080",
            "localhost:8080/",
        ] {
            let expected =
                format!("{wrong:?} must be HOST:PORT, such as localhost:8080 or [::1]:8080");
            assert_eq!(resolve(wrong), Err(expected));
        }
    }
}
