//! Host names, resolved by the operating system.

use std::net::{SocketAddr, ToSocketAddrs};

/// Resolves `address`, a `host:port`, to one socket address; to that of the older protocol where there are both,
/// because servers listen on it by default.
///
/// # Errors
/// Says what is wrong with the text, or that the host is not known.
pub fn resolve(address: &str) -> Result<SocketAddr, String> {
    let found = address
        .to_socket_addrs()
        .map_err(|error| format!("{address:?}: {error}"))?;
    let found = found.min_by_key(SocketAddr::is_ipv6);
    found.ok_or_else(|| format!("{address:?} has no address"))
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
        for (wrong, why) in [
            ("localhost", "invalid socket address"),
            ("localhost:http", "invalid port value"),
            ("a..b:1", "\"a..b:1\": "),
        ] {
            let error = resolve(wrong).expect_err(wrong);
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
