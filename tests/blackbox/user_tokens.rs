//! Users who prove who they are, and those who try to be somebody else.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::admin::{create, in_seconds};
use crate::client::{Answer, Client};
use crate::server::{Place, Server, wait_for};

const SESSION_SECRET: &str = "a-secret-that-signs-sessions-of-users";

/// A shop that signs tokens.
struct Issuer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Issuer {
    fn new(kid: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let x = encoded(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"});
        let message = message(&header, claims);
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    fn token(&self, user: &str) -> String {
        self.sign(&claims(user))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn message(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    )
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

fn claims(user: &str) -> Value {
    json!({"iss": "https://shop", "aud": "flashsale", "sub": user, "exp": now_s() + 600})
}

fn with(user: &str, name: &str, value: Value) -> Value {
    let mut claims = claims(user);
    claims[name] = value;
    claims
}

fn write_keys(place: &Place, issuers: &[&Issuer]) {
    let keys: Vec<_> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    let path = place.path().join("keys.json");
    fs::write(path, json!({ "keys": keys }).to_string()).expect("room");
}

fn place(issuer: &Issuer, more: &[(&str, &str)]) -> Place {
    let settings = [
        ("SALE_TOTAL_ITEMS", "10"),
        ("AUTH_KEYS", "keys.json"),
        ("AUTH_ISSUER", "https://shop"),
        ("AUTH_AUDIENCE", "flashsale"),
        ("AUTH_SESSION_SECRET", SESSION_SECRET),
    ];
    let place = Place::new(&[&settings[..], more].concat());
    write_keys(&place, &[issuer]);
    place
}

fn start(more: &[(&str, &str)]) -> (Server, Client, Issuer) {
    let issuer = Issuer::new("one");
    let server = Server::start_in(place(&issuer, more));
    let client = server.client();
    (server, client, issuer)
}

#[track_caller]
fn ask(client: &mut Client, method: &str, target: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    client.send(method, target, &[("Authorization", &bearer)], b"")
}

#[track_caller]
fn post(client: &mut Client, target: &str, token: &str) -> Answer {
    ask(client, "POST", target, token)
}

#[track_caller]
fn unauthorized(answer: Answer, word: &str) {
    let answer = answer.refused(401, "unauthorized", word);
    let challenge = answer.header("www-authenticate").expect("a challenge");
    let is_refusal = challenge.starts_with("Bearer error=\"invalid_token\"");
    assert!(is_refusal || challenge == "Bearer", "{challenge}");
}

#[test]
fn a_token_says_who_the_user_is() {
    let (_server, mut client, issuer) = start(&[]);
    let ada = issuer.token("ada");
    let code = post(&mut client, "/checkout?id=ITM-1-0", &ada).ok().code();
    let same = post(&mut client, "/checkout?user_id=ada&id=ITM-1-1", &ada);
    assert_eq!(same.ok().code(), code);
    let view = client.get(&format!("/admin/checkouts/{code}")).ok().json();
    assert_eq!(view["user_id"], "ada");
    let mismatch = post(&mut client, "/checkout?user_id=bob&id=ITM-1-2", &ada);
    mismatch.refused(403, "user_mismatch", "another user");
    unauthorized(client.post("/checkout?user_id=ada&id=ITM-1-2"), "token");
    // An open checkout is told to its user.
    let again = post(&mut client, "/checkout?id=ITM-1-0", &ada);
    let again = again.refused(400, "item_already_in_checkout", "already");
    assert_eq!(again.code(), code);
    let sold = post(&mut client, &format!("/purchase?code={code}"), &ada).ok();
    assert_eq!(sold.json()["total_purchased"], 2);
}

#[test]
fn a_session_takes_the_place_of_a_token_also_after_a_restart_and_elsewhere() {
    let (mut server, mut client, issuer) = start(&[]);
    let exchanged = post(&mut client, "/session", &issuer.token("ada")).ok();
    assert_eq!(exchanged.header("cache-control"), Some("no-store"));
    let exchanged = exchanged.json();
    assert_eq!(exchanged["user_id"], "ada");
    let session = exchanged["token"].as_str().expect("a token").to_owned();
    let code = post(&mut client, "/checkout?id=ITM-1-0", &session)
        .ok()
        .code();
    unauthorized(post(&mut client, "/session", &session), "exchanged again");
    unauthorized(client.post("/session"), "token");
    unauthorized(post(&mut client, "/session", "fs1.AAAA"), "exchanged again");
    server.kill_9();
    server.restart();
    let mut client = server.client();
    let shown = ask(
        &mut client,
        "GET",
        &format!("/checkout?code={code}"),
        &session,
    );
    shown.ok();
    // Another server with the same secret, whatever its keys are.
    let other = Server::start_in(place(&Issuer::new("other"), &[]));
    let elsewhere = post(&mut other.client(), "/checkout?id=ITM-1-0", &session);
    elsewhere.ok();
    let stranger = Server::start_in(place(
        &issuer,
        &[(
            "AUTH_SESSION_SECRET",
            "another-secret-that-signs-other-ones",
        )],
    ));
    let refused = post(&mut stranger.client(), "/checkout?id=ITM-1-0", &session);
    unauthorized(refused, "signature");
}

#[test]
fn a_checkout_cannot_be_taken_over_by_another_user() {
    let more = [
        ("SALE_HOLD_SECONDS", "600"),
        ("SALE_PAYMENT_SECONDS", "600"),
    ];
    let (_server, mut client, issuer) = start(&more);
    let (ada, eve) = (issuer.token("ada"), issuer.token("eve"));
    let checkout = "/checkout?id=ITM-1-0";
    let keyed = |client: &mut Client, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", &*bearer), ("Idempotency-Key", "lost")];
        client.send("POST", checkout, &headers, b"")
    };
    let first = keyed(&mut client, &ada).ok();
    let code = first.code();
    let session = post(&mut client, "/session", &eve).ok();
    for thief in [&eve, &session.member("token")] {
        for (method, target) in [
            ("GET", format!("/checkout?code={code}")),
            ("POST", format!("/release?code={code}")),
            ("POST", format!("/payment?code={code}")),
            ("POST", format!("/purchase?code={code}")),
        ] {
            let refused = ask(&mut client, method, &target, thief);
            refused.refused(403, "user_mismatch", "another user");
            unauthorized(client.send(method, &target, &[], b""), "token");
        }
        // With the key of another user nothing is told.
        keyed(&mut client, thief).refused(409, "item_held", "held");
    }
    assert_eq!(keyed(&mut client, &ada).ok().text(), first.text());
    let shown = ask(&mut client, "GET", &format!("/checkout?code={code}"), &ada);
    assert_eq!(shown.ok().json()["items_count"], 1);
    post(&mut client, &format!("/purchase?code={code}"), &ada).ok();
    let late = post(&mut client, &format!("/purchase?code={code}"), &eve);
    late.refused(403, "user_mismatch", "another user");
    let nobodys = "/purchase?code=CHK-1-0123456789abcdef0123456789abcdef";
    post(&mut client, nobodys, &eve).refused(404, "checkout_not_found", "not found");
}

#[test]
fn a_checkout_of_a_sale_that_has_left_memory_is_still_of_its_user() {
    let (server, mut client, issuer) = start(&[("SALE_KEEP_ENDED_SECONDS", "0")]);
    let (ada, eve) = (issuer.token("ada"), issuer.token("eve"));
    let item = json!({"id": "mug", "name": "Mug", "stock": 5});
    let sale = json!({"items": [item], "ended_at": in_seconds(600)});
    let sale = create(&mut client, &sale);
    let code = post(&mut client, "/checkout?id=mug", &ada).ok().code();
    let purchase = format!("/purchase?code={code}");
    let sold = post(&mut client, &purchase, &ada).ok();
    client.post(&format!("/admin/sales/{sale}/close")).ok();
    let file = format!("-{sale}.sale");
    wait_for("the file of the ended sale", || {
        let names = walk(server.place().journal_dir());
        names.into_iter().find(|name| name.ends_with(&file))
    });
    post(&mut client, &purchase, &eve).refused(403, "user_mismatch", "another user");
    let again = post(&mut client, &purchase, &ada);
    let again = again.refused(409, "already_processed", "already");
    assert_eq!(again.json()["result"], sold.json());
}

/// The names of all files below a directory.
fn walk(dir: PathBuf) -> Vec<String> {
    let mut dirs = vec![dir];
    let mut names = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                _ => names.push(entry.file_name().to_string_lossy().into_owned()),
            }
        }
    }
    names
}

#[test]
fn forged_tokens_are_refused_and_counted() {
    let (_server, mut client, issuer) = start(&[]);
    let target = "/checkout?user_id=ada&id=ITM-1-0";
    let stranger = Issuer::new("one");
    let now_s = now_s();
    let as_secret = |secret: &[u8], algorithm: &str| {
        let message = message(&json!({"alg": algorithm, "kid": "one"}), &claims("ada"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", encoded(tag))
    };
    let public = issuer.pair.public_key().as_ref();
    let jwks = json!({ "keys": [issuer.jwk()] }).to_string();
    let unsigned = message(&json!({"alg": "none"}), &claims("ada"));
    let tokens = [
        (stranger.token("ada"), "signature"),
        (Issuer::new("other").token("ada"), "key is not known"),
        (as_secret(public, "HS256"), "algorithm"),
        (as_secret(jwks.as_bytes(), "HS256"), "algorithm"),
        (as_secret(public, "EdDSA"), "signature"),
        (format!("{unsigned}."), "algorithm"),
        (
            issuer.sign(&with("ada", "exp", json!(now_s - 31))),
            "expired",
        ),
        (
            issuer.sign(&with("ada", "exp", json!("9999999999"))),
            "claim",
        ),
        (
            issuer.sign(&with("ada", "nbf", json!(now_s + 600))),
            "not valid yet",
        ),
        (
            issuer.sign(&with("ada", "iss", json!("https://other"))),
            "issuer",
        ),
        (
            issuer.sign(&with("ada", "aud", json!(["other"]))),
            "audience",
        ),
        (issuer.sign(&with("ada", "sub", json!(7))), "claim"),
        (issuer.sign(&with("ada", "fs_limit", json!("1"))), "claim"),
        (
            issuer.sign(&with("ada", "x", json!("x".repeat(7_000)))),
            "longer",
        ),
        (issuer.token("ada").replace('.', ".."), "no token"),
        ("0123456789abcdef".to_owned(), "no token"),
        (String::new(), "needs the token"),
    ];
    for (token, word) in &tokens {
        unauthorized(post(&mut client, target, token), word);
    }
    let two = [("Authorization", "Bearer a"), ("authorization", "Bearer b")];
    unauthorized(client.send("POST", target, &two, b""), "no token");
    let basic = [("Authorization", "Basic YTpi")];
    unauthorized(client.send("POST", target, &basic, b""), "needs the token");
    let metrics = client.get("/metrics").ok();
    for (reason, count) in [("signature", 2), ("expired", 1), ("missing", 2)] {
        let line = format!("user_tokens_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
    }
    // Administration has tokens of its own.
    let refused = ask(&mut client, "GET", "/admin/events", &issuer.token("ada"));
    refused.refused(401, "unauthorized", "Administration");
    post(&mut client, target, &issuer.token("ada")).ok();
}

#[test]
fn what_everybody_may_know_needs_no_token() {
    let (_server, mut client, issuer) = start(&[]);
    let ada = issuer.token("ada");
    let code = post(&mut client, "/checkout?id=ITM-1-0", &ada).ok().code();
    post(&mut client, &format!("/purchase?code={code}"), &ada).ok();
    for headers in [&[][..], &[("Authorization", "Bearer nonsense")]] {
        let mut answer = |target: &str| client.send("POST", target, headers, b"");
        answer("/checkout?id=ITM-1-0").refused(409, "item_sold_out", "sold");
        answer("/checkout?user_id=eve&id=ITM-1-0").refused(409, "item_sold_out", "sold");
        answer("/checkout?id=nothing").refused(404, "item_not_found", "not found");
        answer("/checkout").invalid(&["id", "item_id"]);
        answer("/checkout?id=ITM-1-1&quantity=0").invalid(&["quantity"]);
    }
    client.post("/admin/sales/1/close").ok();
    let target = "/checkout?id=ITM-1-1";
    client
        .post(target)
        .refused(400, "sale_not_active", "not active");
    client.get("/sales").ok();
    // The first answer of a key is still its user's.
    let keyed = [("Idempotency-Key", "k")];
    let refused = client.send("POST", target, &keyed, b"");
    refused.refused(400, "sale_not_active", "not active");
}

#[test]
fn claims_narrow() {
    let (_server, mut client, issuer) = start(&[]);
    let two = issuer.sign(&with("ada", "fs_limit", json!(2)));
    let session = post(&mut client, "/session", &two).ok().member("token");
    post(&mut client, "/checkout?id=ITM-1-0", &two).ok();
    post(&mut client, "/checkout?id=ITM-1-1", &session).ok();
    for token in [&two, &session] {
        let third = post(&mut client, "/checkout?id=ITM-1-2", token);
        let third = third.refused(400, "user_limit_exceeded", "limit");
        assert_eq!(third.json()["limit"], 2);
    }
    let items = issuer.sign(&with("bob", "fs_items", json!(["ITM-1-5"])));
    let refused = post(&mut client, "/checkout?id=ITM-1-4", &items);
    refused.refused(403, "not_invited", "not allow");
    post(&mut client, "/checkout?id=ITM-1-5", &items).ok();
    let other = create(
        &mut client,
        &json!({"total_items": 3, "ended_at": in_seconds(600)}),
    );
    let sales = issuer.sign(&with("eve", "fs_sales", json!([other])));
    let refused = post(&mut client, "/checkout?id=ITM-1-6", &sales);
    refused.refused(403, "not_invited", "not allow");
    let allowed = post(&mut client, &format!("/checkout?id=ITM-{other}-0"), &sales);
    allowed.ok();
}

#[test]
fn tokens_that_are_not_required_are_still_verified() {
    let (_server, mut client, issuer) = start(&[("AUTH_REQUIRED", "false")]);
    let ada = issuer.token("ada");
    let code = client.checkout("ada", "ITM-1-0").ok().code();
    client.post("/checkout?id=ITM-1-1").invalid(&["user_id"]);
    // Who does not prove to be ada is not told the code.
    let again = client.checkout("ada", "ITM-1-0");
    let again = again.refused(400, "item_already_in_checkout", "already");
    assert_eq!(again.code_if_any(), None);
    let again = post(&mut client, "/checkout?id=ITM-1-0", &ada);
    assert_eq!(again.code(), code);
    let purchase = format!("/purchase?code={code}");
    let eve = issuer.token("eve");
    post(&mut client, &purchase, &eve).refused(403, "user_mismatch", "another user");
    unauthorized(post(&mut client, &purchase, "nonsense"), "no token");
    client.post(&purchase).ok();
}

#[test]
fn keys_are_rotated_while_buyers_come() {
    let (server, mut client, old) = start(&[("SALE_TOTAL_ITEMS", "1000")]);
    let new = Issuer::new("two");
    let target = "/checkout?id=ITM-1-0";
    unauthorized(
        post(&mut client, target, &new.token("bob")),
        "key is not known",
    );
    let (ended, mut buyer) = (AtomicBool::new(false), server.client());
    let reload = |said: &str| {
        server.signal(Signal::HUP);
        server.wait_for_log(said);
    };
    thread::scope(|scope| {
        let buying = scope.spawn(|| {
            let mut bought = 0;
            while !ended.load(Relaxed) || bought == 0 {
                let token = old.token(&format!("user-{bought}"));
                let target = format!("/checkout?id=ITM-1-{}", bought % 1000);
                post(&mut buyer, &target, &token).ok();
                bought += 1;
            }
        });
        write_keys(server.place(), &[&old, &new]);
        reload("the keys of user tokens were read anew: EdDSA: 2");
        post(&mut client, target, &new.token("bob")).ok();
        // What cannot be used leaves the keys as they are.
        let path = server.place().path().join("keys.json");
        fs::write(&path, "{\"keys\": []}").expect("room");
        reload("the keys of user tokens stay as they were: auth.keys: keys.json");
        post(&mut client, target, &new.token("eve")).ok();
        ended.store(true, Relaxed);
        buying.join().expect("the old key is in force all the time");
    });
    write_keys(server.place(), &[&new]);
    reload("the keys of user tokens were read anew: EdDSA: 1");
    unauthorized(
        post(&mut client, target, &old.token("ada")),
        "key is not known",
    );
    post(&mut client, target, &new.token("ada")).ok();
}

#[test]
fn a_server_does_not_start_without_keys_that_can_be_used() {
    let issuer = Issuer::new("one");
    let place = place(&issuer, &[]);
    let path = place.path().join("keys.json");
    for (text, said) in [
        (Some("secret-one-of-the-shop"), "line 1 is no secret"),
        (Some("{\"keys\": []}"), "holds no key"),
        (None, "cannot be read"),
    ] {
        match text {
            Some(text) => fs::write(&path, text).expect("room"),
            None => fs::remove_file(&path).expect("our own"),
        }
        let (_, log) = place.failure(&[]);
        assert!(log.contains(said) && log.contains("keys.json"), "{log}");
        assert!(!log.contains("secret-one"), "{log}");
        let (_, report) = place.failure(&["preflight"]);
        let report = format!(
            "{report}{}",
            String::from_utf8_lossy(&place.run(&["preflight"]).stdout)
        );
        assert!(
            report.contains("user tokens") && report.contains(said),
            "{report}"
        );
    }
    write_keys(&place, &[&issuer]);
    let report = place.run(&["preflight"]);
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("required; keys of EdDSA: 1"), "{report}");
}

#[test]
fn without_keys_the_header_is_not_looked_at() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let mut client = server.client();
    post(&mut client, "/checkout?user_id=ada&id=ITM-1-0", "nonsense").ok();
    let off = post(&mut client, "/session", "nonsense");
    off.refused(404, "not_found", "auth.keys");
}
