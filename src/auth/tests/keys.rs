//! Files of keys.

use serde_json::{Value, json};

use super::*;

#[test]
fn files_of_keys_are_refused_with_words() {
    let rsa: Value = serde_json::from_str(A2_RSA).expect("a key");
    let p256: Value = serde_json::from_str(A3_P256).expect("a key");
    let ed25519: Value = serde_json::from_str(RFC8037).expect("a key");
    let changed = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    for (jwk, why) in [
        (changed(&rsa, "d", json!("AQAB")), "private"),
        (changed(&rsa, "n", json!("AQAB")), "2048 to 8192"),
        (changed(&rsa, "e", json!("AQ")), "exponent"),
        (changed(&rsa, "e", json!("Ag")), "exponent"),
        (changed(&rsa, "n", json!("A!")), "base64url"),
        (changed(&rsa, "kid", json!(7)), "of another type"),
        (changed(&rsa, "kid", json!("")), "kid of 1 to 256"),
        (changed(&p256, "x", json!("AQAB")), "32 bytes each"),
        (changed(&p256, "y", json!(null)), "of another type"),
        (changed(&ed25519, "x", json!("AQAB")), "32 bytes"),
        (json!({"kty": "oct", "k": encoded("short")}), "32 to 1024"),
        (json!({"kty": "oct"}), "lacks"),
        (json!({"n": "AQAB"}), "kty"),
        (json!("RSA"), "object"),
    ] {
        let said = set(&[ed25519.clone(), jwk]).expect_err(why).to_string();
        assert!(said.starts_with("keys[1] ") && said.contains(why), "{said}");
    }
    // Keys for something else, and of kinds that are not known.
    let others = [
        changed(&rsa, "use", json!("enc")),
        changed(&rsa, "alg", json!("RS512")),
        json!({"kty": "EC", "crv": "P-521", "x": "", "y": ""}),
        json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": ""}),
    ];
    assert_eq!(set(&others).expect_err("none"), KeySetError::NoKeys);
    let with_one = [&others[..], &[p256]].concat();
    assert_eq!(key_set(&with_one).describe(), "ES256: 1");
    let named = changed(&ed25519, "kid", json!("one"));
    let twice = set(&[named.clone(), named]).expect_err("twice").to_string();
    assert!(twice.contains("once"), "{twice}");
    let many: Vec<_> = (0..=AUTH_KEYS_MAX)
        .map(|n| changed(&ed25519, "kid", json!(n.to_string())))
        .collect();
    assert!(matches!(set(&many), Err(KeySetError::TooMany(_))));
}

#[test]
fn files_of_secrets_have_one_a_line() {
    let longer = format!("{SECRET}x");
    let keys = KeySet::parse(&format!("{SECRET}\n{longer}\n")).expect("two secrets");
    assert_eq!(keys.describe(), "HS256: 2");
    for secret in [SECRET, &longer] {
        let header = json!({"alg": "HS256", "kid": "whatever"});
        assert!(verify(&signed(&header, b"{}", secret.as_bytes()), &keys).is_ok());
    }
    assert_eq!(KeySet::parse("").expect_err("none"), KeySetError::NoKeys);
    for wrong in [
        "short",
        &"x".repeat(1_025),
        &"ä".repeat(32),
        "{}",
        "{",
        "[]",
    ] {
        let said = KeySet::parse(wrong).expect_err("no secret").to_string();
        assert!(!said.contains(wrong), "{said}");
    }
    let many = format!("{SECRET}\n").repeat(AUTH_KEYS_TRIED_MAX + 1);
    assert!(matches!(KeySet::parse(&many), Err(KeySetError::TooMany(_))));
    let shown = format!("{keys:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}
