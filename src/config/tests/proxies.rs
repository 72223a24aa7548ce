//! The address of a client, and the proxies that are believed.

use serde_json::json;

use super::*;
use crate::types::AddressSource;

fn server(keys: &Value) -> Result<Config, ConfigError> {
    let text = json!({ "server": keys }).to_string();
    load(&text, &[], Overrides::default())
}

#[test]
fn a_source_and_the_proxies_that_are_believed_belong_together() {
    let trusted = json!(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]);
    for (name, source) in &AddressSource::NAMES[1..] {
        let keys = json!({"client_address": name, "trusted_proxies": trusted});
        let found = server(&keys).unwrap().server.client_address;
        assert_eq!((found.source, found.trusted.len()), (*source, 3));
        let alone = server(&json!({ "client_address": name })).unwrap_err();
        let expected = format!(
            "server.client_address = \"{name}\" is not allowed: must be \"peer\", or given together with \
             server.trusted_proxies"
        );
        assert!(alone.to_string().ends_with(&expected), "{alone}");
    }
    let of_nobody = server(&json!({ "trusted_proxies": trusted })).unwrap_err();
    assert!(
        of_nobody.to_string().contains("server.client_address"),
        "{of_nobody}"
    );
    let found = server(&json!({"client_address": "peer", "trusted_proxies": []}));
    assert_eq!(
        found.unwrap().server.client_address.source,
        AddressSource::Peer
    );
}

#[test]
fn what_is_no_source_or_no_network_is_refused_with_what_is_allowed() {
    let named = server(&json!({"client_address": "x-real-ip"}))
        .unwrap_err()
        .to_string();
    assert!(
        named.contains(r#""peer" or "x-forwarded-for" or "forwarded" or "proxy-v2""#),
        "{named}"
    );
    for wrong in [
        json!("10.0.0.0/8"),
        json!(["10.0.0.1/8"]),
        json!(["proxy.example"]),
        json!(["10.0.0.0/33"]),
        json!([""]),
        json!([7]),
        json!(vec!["10.0.0.1"; 1025]),
    ] {
        let keys = json!({"client_address": "forwarded", "trusted_proxies": wrong});
        let said = server(&keys).unwrap_err().to_string();
        assert!(
            said.contains("such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"),
            "{wrong}: {said}"
        );
    }
}
