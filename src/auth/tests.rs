use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};

use super::*;
use crate::limits::{AUTH_KEYS_MAX, AUTH_KEYS_TRIED_MAX, GRANTS_MAX, USER_TOKEN_BYTES_MAX};
#[cfg(feature = "planted")]
use crate::planted::{Slip, plant};
use crate::telemetry::TokenRefusal;
use crate::types::{ItemId, SaleId, Timestamp};

mod claims;
mod keys;
mod sessions;
mod vectors;

use vectors::{A2_RSA, A3_P256, RFC8037};

const NOW_S: u64 = 1_800_000_000;
const NOW: Timestamp = Timestamp(NOW_S as i64 * 1_000_000);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SESSION_SECRET: &str = "a secret of sessions must be so long";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Signs what is given with `secret`, whatever that is.
fn signed(header: &Value, payload: &[u8], secret: &[u8]) -> String {
    let message = format!("{}.{}", encoded(header.to_string()), encoded(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encoded(tag))
}

fn token(claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    signed(&header, claims.to_string().as_bytes(), SECRET.as_bytes())
}

fn claims() -> Value {
    json!({"sub": "ada", "exp": NOW_S + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn authority(rules: ClaimRules) -> Authority {
    let options = AuthorityOptions {
        rules,
        is_required: true,
        session_s: 900,
    };
    let keys = KeySet::parse(SECRET).expect("a secret");
    let session_keys = SessionKeys::derive(&SESSION_SECRET.replace(' ', "-"));
    Authority::new(options, keys, session_keys)
}

fn prove(claims: &Value) -> Result<Claims, TokenRefusal> {
    authority(ClaimRules::default()).prove(&token(claims), NOW)
}

fn set(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(&json!({ "keys": keys }).to_string())
}

fn key_set(keys: &[Value]) -> KeySet {
    set(keys).expect("keys")
}

#[test]
fn the_examples_of_the_rfcs_are_verified() {
    for (jwk, token) in vectors::signed() {
        let keys = key_set(&[serde_json::from_str(jwk).expect("a key")]);
        let payload = verify(token, &keys).expect("RFC 7515 and 8037 have signed it");
        assert_eq!(
            encoded(payload),
            token.split('.').nth(1).expect("a payload")
        );
        let (message, signature) = token.rsplit_once('.').expect("a signature");
        let mut wrong = bytes(signature);
        for place in 0..wrong.len() {
            wrong[place] ^= 1;
            let wrong_token = format!("{message}.{}", encoded(&wrong));
            assert_eq!(verify(&wrong_token, &keys), Err(TokenRefusal::Signature));
            wrong[place] ^= 1;
        }
        for signature in ["", "AA"] {
            let wrong_token = format!("{message}.{signature}");
            assert_eq!(verify(&wrong_token, &keys), Err(TokenRefusal::Signature));
        }
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let keys = KeySet::parse(SECRET).expect("a secret");
    // RFC 7519, section 6.1.
    let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(verify(unsecured, &keys), Err(TokenRefusal::Algorithm));
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS384", "RS512", "PS256", "hs256",
    ] {
        let header = json!({ "alg": name });
        let token = signed(&header, b"{}", SECRET.as_bytes());
        assert_eq!(
            verify(&token, &keys),
            Err(TokenRefusal::Algorithm),
            "{name}"
        );
    }
}

/// Returns whether a token is taken that is signed with what is public of an RSA key as a secret.
fn is_confused() -> bool {
    let jwk: Value = serde_json::from_str(A2_RSA).expect("a key");
    let modulus = bytes(jwk["n"].as_str().expect("a modulus"));
    let keys = key_set(std::slice::from_ref(&jwk));
    let text = jwk.to_string();
    let secrets: [&[u8]; 3] = [&modulus, text.as_bytes(), A2_RSA.as_bytes()];
    let algorithms = ["HS256", "RS256", "ES256"];
    secrets.iter().any(|secret| {
        algorithms.iter().any(|algorithm| {
            let header = json!({ "alg": algorithm });
            verify(&signed(&header, b"{}", secret), &keys).is_ok()
        })
    })
}

#[test]
fn a_public_key_is_no_secret() {
    assert!(!is_confused());
}

#[cfg(feature = "planted")]
#[test]
fn trust_in_the_algorithm_of_a_token_is_noticed() {
    plant(Some(Slip::TrustsTokenAlgorithm));
    assert!(is_confused());
    plant(None);
}

#[cfg(feature = "planted")]
#[test]
fn an_expired_token_that_is_taken_is_noticed() {
    let expired = with("exp", json!(NOW_S - 31));
    assert_eq!(prove(&expired), Err(TokenRefusal::Expired));
    plant(Some(Slip::SkipsTokenExpiry));
    assert!(prove(&expired).is_ok());
    plant(None);
}

#[test]
fn each_kind_of_key_verifies_what_it_has_signed() {
    let random = SystemRandom::new();
    let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let ed25519 = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
    let p256 = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key");
    let rsa = vectors::rsa_key_pair();
    let ed25519_x = ed25519.public_key().as_ref();
    let p256_point = p256.public_key().as_ref();
    let rsa_jwk: Value = serde_json::from_str(A2_RSA).expect("a key");
    let keys = key_set(&[
        json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(ed25519_x)}),
        json!({"kty": "EC", "crv": "P-256", "x": encoded(&p256_point[1..33]), "y": encoded(&p256_point[33..])}),
        rsa_jwk,
        json!({"kty": "oct", "k": encoded(SECRET)}),
    ]);
    assert_eq!(keys.describe(), "HS256: 1, RS256: 1, ES256: 1, EdDSA: 1");
    let sign = |algorithm: &str, message: &[u8]| match algorithm {
        "EdDSA" | "Ed25519" => ed25519.sign(message).as_ref().to_vec(),
        "ES256" => p256
            .sign(&random, message)
            .expect("signed")
            .as_ref()
            .to_vec(),
        _ => {
            let mut signature = vec![0; rsa.public().modulus_len()];
            let signed = rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
            signed.expect("signed");
            signature
        }
    };
    for algorithm in ["EdDSA", "Ed25519", "ES256", "RS256"] {
        let header = json!({"alg": algorithm, "typ": "at+JWT"});
        let message = format!("{}.{}", encoded(header.to_string()), encoded("{}"));
        let signature = sign(algorithm, message.as_bytes());
        let token = format!("{message}.{}", encoded(&signature));
        assert_eq!(verify(&token, &keys), Ok(b"{}".to_vec()), "{algorithm}");
        // With the name of another algorithm in its place, which is signed, too.
        for other in ["HS256", "RS256", "ES256", "EdDSA"] {
            if other == algorithm || (other, algorithm) == ("EdDSA", "Ed25519") {
                continue;
            }
            let header = json!({ "alg": other });
            let message = format!("{}.{}", encoded(header.to_string()), encoded("{}"));
            let signature = sign(algorithm, message.as_bytes());
            let token = format!("{message}.{}", encoded(&signature));
            let refused = Err(TokenRefusal::Signature);
            assert_eq!(verify(&token, &keys), refused, "{algorithm} as {other}");
        }
    }
}

#[test]
fn a_kid_selects_a_key() {
    let secret = |kid: &str, fill: u8| json!({"kty": "oct", "kid": kid, "k": encoded([fill; 32])});
    let mut keys: Vec<_> = (0..6_u8).map(|n| secret(&n.to_string(), n)).collect();
    let of = |kid: Option<&str>, fill: u8, keys: &KeySet| {
        let mut header = json!({ "alg": "HS256" });
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        verify(&signed(&header, b"{}", &[fill; 32]), keys).map(drop)
    };
    let set = key_set(&keys);
    assert_eq!(of(Some("5"), 5, &set), Ok(()));
    assert_eq!(of(Some("4"), 5, &set), Err(TokenRefusal::Signature));
    assert_eq!(of(Some("6"), 5, &set), Err(TokenRefusal::UnknownKey));
    // Six keys would have to be tried.
    assert_eq!(of(None, 5, &set), Err(TokenRefusal::UnknownKey));
    let set = key_set(&keys[..AUTH_KEYS_TRIED_MAX]);
    assert_eq!(of(None, 3, &set), Ok(()));
    assert_eq!(of(None, 4, &set), Err(TokenRefusal::Signature));
    // One that has no id may be meant by any.
    keys.push(json!({"kty": "oct", "k": encoded([9; 32])}));
    let set = key_set(&keys);
    assert_eq!(of(Some("new"), 9, &set), Ok(()));
    assert_eq!(
        of(Some(&"k".repeat(257)), 9, &set),
        Err(TokenRefusal::UnknownKey)
    );
}

#[test]
fn headers_must_be_understood() {
    let keys = KeySet::parse(SECRET).expect("a secret");
    let of = |header: &str| {
        let message = format!("{}.{}", encoded(header), encoded("{}"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, message.as_bytes());
        verify(&format!("{message}.{}", encoded(tag)), &keys).map(drop)
    };
    assert_eq!(of(r#"{"alg":"HS256"}"#), Ok(()));
    for typ in ["JWT", "jwt", "application/jwt", "at+jwt"] {
        assert_eq!(of(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#)), Ok(()));
    }
    // Where the key is said to be.
    assert_eq!(of(r#"{"alg":"HS256","jku":"https://a","jwk":{}}"#), Ok(()));
    for (header, refusal) in [
        (r#"{"alg":"HS256","crit":["exp"]}"#, TokenRefusal::Critical),
        (
            r#"{"alg":"HS256","crit":[],"b64":false}"#,
            TokenRefusal::Critical,
        ),
        (r#"{"alg":"HS256","alg":"HS256"}"#, TokenRefusal::Malformed),
        (r#"{"alg":"HS256","a":1,"a":1}"#, TokenRefusal::Malformed),
        (
            r#"{"alg":"HS256","typ":"logout+jwt"}"#,
            TokenRefusal::Malformed,
        ),
        (r#"{"alg":"HS256","typ":1}"#, TokenRefusal::Malformed),
        (r#"{"alg":"HS256","kid":1}"#, TokenRefusal::Malformed),
        (r#"{"alg":["HS256"]}"#, TokenRefusal::Malformed),
        (r#"{"alg":null}"#, TokenRefusal::Malformed),
        (r#"{}"#, TokenRefusal::Malformed),
        (r#"["HS256"]"#, TokenRefusal::Malformed),
        ("", TokenRefusal::Malformed),
        (r#"{"alg":"EdDSA"}"#, TokenRefusal::Algorithm),
    ] {
        assert_eq!(of(header), Err(refusal), "{header}");
    }
}

#[test]
fn a_token_has_three_parts_of_base64url() {
    let keys = KeySet::parse(SECRET).expect("a secret");
    let token = token(&claims());
    for wrong in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b".into(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        token.replace('.', ".."),
        token.replacen('.', "", 1),
    ] {
        let refusal = verify(&wrong, &keys).expect_err("it is no token");
        assert_eq!(refusal, TokenRefusal::Malformed, "{wrong}");
    }
    let long = format!("{token}{}", "A".repeat(USER_TOKEN_BYTES_MAX));
    assert_eq!(verify(&long, &keys), Err(TokenRefusal::TooLong));
    let claims = with("huge", json!("x".repeat(USER_TOKEN_BYTES_MAX)));
    assert_eq!(prove(&claims), Err(TokenRefusal::TooLong));
}

proptest! {
    #[test]
    fn no_other_token_than_the_signed_one_is_taken(place in 0_usize..400, byte in 0_u8..128) {
        let authority = authority(ClaimRules::default());
        let token = token(&claims());
        let session = authority.exchange(&token, NOW).expect("a session").token;
        for signed in [token, session] {
            let mut other = signed.clone().into_bytes();
            let place = place % other.len();
            other[place] = byte;
            let other = String::from_utf8(other).expect("ASCII");
            prop_assert_eq!(authority.prove(&other, NOW).is_ok(), other == signed);
            let mut shorter = signed.clone();
            shorter.remove(place);
            prop_assert!(authority.prove(&shorter, NOW).is_err());
            let mut longer = signed.clone();
            longer.insert(place, char::from(byte));
            prop_assert!(authority.prove(&longer, NOW).is_err());
        }
    }

    #[test]
    fn no_text_makes_a_token(text in ".{0,200}") {
        let authority = authority(ClaimRules::default());
        prop_assert!(authority.prove(&text, NOW).is_err());
        let session = format!("fs1.{text}");
        prop_assert!(authority.prove(&session, NOW).is_err());
        let _ = KeySet::parse(&text);
    }
}
