//! What it costs to know who asks: a session, and a token of each algorithm that can be signed here.

mod common;

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::Criterion;
use flashsale::auth::{Authority, AuthorityOptions, ClaimRules, KeySet, SessionKeys};
use flashsale::types::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::json;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns a token of this algorithm, signed by `sign`.
fn token(algorithm: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let header = json!({"alg": algorithm, "kid": algorithm, "typ": "JWT"});
    let claims = json!({"iss": "https://shop.example", "aud": "flashsale", "sub": "ada", "exp": 1_800_000_600});
    let message = format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", encoded(signature))
}

fn prove(criterion: &mut Criterion) {
    let random = SystemRandom::new();
    let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let ed25519 = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
    let p256 = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key");
    let (x, point) = (ed25519.public_key().as_ref(), p256.public_key().as_ref());
    let keys = json!({"keys": [
        {"kid": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": encoded(x)},
        {"kid": "ES256", "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
        {"kid": "HS256", "kty": "oct", "k": encoded(SECRET)},
    ]});
    let options = AuthorityOptions {
        rules: ClaimRules {
            issuer: Some("https://shop.example".to_owned()),
            audience: Some("flashsale".to_owned()),
            leeway_s: 30,
        },
        is_required: true,
        session_s: 900,
    };
    let keys = KeySet::parse(&keys.to_string()).expect("keys");
    let session_keys = SessionKeys::derive("a-secret-that-signs-sessions-of-users");
    let authority = Authority::new(options, keys, session_keys);
    let eddsa = token("EdDSA", |message| ed25519.sign(message).as_ref().to_vec());
    let es256 = token("ES256", |message| {
        let signature = p256.sign(&random, message).expect("a signature");
        signature.as_ref().to_vec()
    });
    let hs256 = token("HS256", |message| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        hmac::sign(&key, message).as_ref().to_vec()
    });
    let session = authority.exchange(&eddsa, NOW).expect("a session").token;
    let mut group = criterion.benchmark_group("prove");
    for (name, token) in [
        ("session", &session),
        ("hs256", &hs256),
        ("eddsa", &eddsa),
        ("es256", &es256),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| authority.prove(black_box(token), NOW).expect("a user"));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    prove(&mut criterion);
    criterion.final_summary();
}
