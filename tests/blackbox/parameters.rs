//! Where parameters may stand, and what is never guessed from them.

use crate::client::{Client, escaped};
use crate::server::Server;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn shop() -> (Server, Client) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    let client = server.client();
    (server, client)
}

fn post_body(
    client: &mut Client,
    target: &str,
    kind: &str,
    body: impl AsRef<[u8]>,
) -> crate::client::Answer {
    client.send("POST", target, &[("Content-Type", kind)], body.as_ref())
}

#[test]
fn every_place_and_name_is_understood() {
    let (_server, mut client) = shop();
    let code = client.post("/checkout?user_id=ada&id=ITM-1-0").ok().code();
    let same = |answer: crate::client::Answer| assert_eq!(answer.ok().code(), code);
    same(client.post("/api/v1/checkout?item_id=ITM-1-1&user_id=ada"));
    same(post_body(
        &mut client,
        "/checkout",
        FORM,
        "user_id=ada&id=ITM-1-2",
    ));
    same(post_body(
        &mut client,
        "/checkout?user_id=ada",
        FORM,
        "item_id=ITM-1-3",
    ));
    let body = r#"{"user_id":"ada","id":"ITM-1-4","other":[1]}"#;
    same(post_body(&mut client, "/api/v1/checkout", JSON, body));
    let body = r#"{"user_id":"\u0061da","item_id":"ITM-1-5","quantity":1,"sale_id":"1"}"#;
    same(post_body(
        &mut client,
        "/checkout",
        "application/json; charset=utf-8",
        body,
    ));
    same(client.post("/checkout?user_id=%61da&id=ITM%2D1%2d6&unknown=%zz"));

    let purchase = |client: &mut Client, user, item: &str| {
        let code = client.choose(user, &[item]);
        (code.clone(), format!(r#"{{"code":"{code}"}}"#))
    };
    let (code, _) = purchase(&mut client, "bob", "ITM-1-10");
    post_body(&mut client, "/purchase", FORM, format!("code={code}")).ok();
    let (_, json) = purchase(&mut client, "bob", "ITM-1-11");
    post_body(&mut client, "/api/v1/purchase", JSON, json).ok();
    let (code, _) = purchase(&mut client, "bob", "ITM-1-12");
    client.post(&format!("/api/v1/purchase?code={code}")).ok();
}

#[test]
fn a_parameter_given_twice_is_refused() {
    let (_server, mut client) = shop();
    let item = ["id", "item_id"];
    let twice = "/checkout?user_id=ada&user_id=ada&id=ITM-1-0";
    client.post(twice).invalid(&["user_id"]);
    client
        .post("/checkout?user_id=ada&id=ITM-1-0&id=ITM-1-0")
        .invalid(&item);
    client
        .post("/checkout?user_id=ada&id=ITM-1-0&item_id=ITM-1-0")
        .invalid(&item);
    let target = "/checkout?user_id=ada&id=ITM-1-0";
    post_body(&mut client, target, FORM, "id=ITM-1-0").invalid(&item);
    post_body(&mut client, target, JSON, r#"{"user_id":"ada"}"#).invalid(&["user_id"]);
    let body = r#"{"user_id":"ada","id":"ITM-1-0","id":"ITM-1-1"}"#;
    post_body(&mut client, "/checkout", JSON, body).invalid(&item);
    let code = client.choose("ada", &["ITM-1-0"]);
    client
        .post(&format!("/purchase?code={code}&code={code}"))
        .invalid(&["code"]);
    client.purchase(&code).ok();
}

#[test]
fn broken_text_is_refused() {
    let (_server, mut client) = shop();
    let broken = [
        "%", "a%", "a%4", "a%zz", "%+1", "%ff", "%c3", "%00", "a%0Ab", "%7F", "%C2%80", "",
    ];
    for text in broken {
        let target = format!("/checkout?user_id={text}&id=ITM-1-0");
        client.post(&target).invalid(&["user_id"]);
        let target = format!("/checkout?user_id=ada&id={text}");
        client.post(&target).invalid(&["id", "item_id"]);
        let body = format!("user_id={text}&id=ITM-1-0");
        post_body(&mut client, "/checkout", FORM, body).invalid(&["user_id"]);
    }
    for text in [r"\u0000", r"\n", r"\u0085", ""] {
        let body = format!(r#"{{"user_id":"{text}","id":"ITM-1-0"}}"#);
        post_body(&mut client, "/checkout", JSON, body).invalid(&["user_id"]);
    }
    for body in [&b"user_id=\xff&id=ITM-1-0"[..], b"user_id=\x07&id=ITM-1-0"] {
        post_body(&mut client, "/checkout", FORM, body).invalid(&["user_id"]);
    }
}

#[test]
fn ids_are_up_to_128_bytes_of_utf_8() {
    let (_server, mut client) = shop();
    let allowed = [
        "a".repeat(128),
        "ü".repeat(64),
        "🦀 &=+%?#/\"'<>\\".to_owned(),
        "\u{200d}".to_owned(),
    ];
    for (index, user) in allowed.iter().enumerate() {
        let item = format!("ITM-1-{index}");
        let code = client.choose(user, &[&item]);
        let body = format!(
            r#"{{"user_id":{},"id":"ITM-1-9"}}"#,
            serde_json::json!(user)
        );
        let answer = post_body(&mut client, "/checkout", JSON, body);
        assert_eq!(answer.ok().code(), code, "{user}");
    }
    for user in ["a".repeat(129), format!("{}a", "ü".repeat(64))] {
        client.checkout(&user, "ITM-1-0").invalid(&["user_id"]);
        client.checkout("ada", &user).invalid(&["id", "item_id"]);
    }
    // Long, but well-formed: there is just no such item.
    let target = format!("/checkout?user_id=ada&id={}", escaped(&"ü".repeat(64)));
    client
        .post(&target)
        .refused(404, "item_not_found", "not found");
}

#[test]
fn bodies_must_be_what_they_say() {
    let (_server, mut client) = shop();
    let ids = "/checkout?user_id=ada&id=ITM-1-0";
    for body in ["[]", "1", "{", "{} x", "null", "\"user_id\"", "\u{feff}{}"] {
        post_body(&mut client, ids, JSON, body).invalid(&["body"]);
    }
    post_body(&mut client, ids, "text/plain", "x").invalid(&["content_type"]);
    client
        .send("POST", ids, &[], b"x")
        .invalid(&["content_type"]);
    for wrong in ["1", "null", "[\"ada\"]", "{}", "true"] {
        let body = format!(r#"{{"user_id":{wrong},"id":"ITM-1-0"}}"#);
        post_body(&mut client, "/checkout", JSON, body).invalid(&["user_id"]);
    }
    client.post(ids).ok();
}

#[test]
fn what_is_malformed_is_said_before_what_is_unknown() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    client
        .post("/checkout?user_id=&id=nothing")
        .invalid(&["user_id"]);
    let target = "/checkout?user_id=ada&id=nothing&quantity=x";
    client.post(target).invalid(&["quantity"]);
    let target = "/checkout?user_id=ada&id=nothing";
    client
        .post(target)
        .refused(404, "item_not_found", "not found");
    client
        .checkout("ada", "ITM-1-0")
        .refused(400, "item_already_in_checkout", "already");
    // What was refused has changed nothing.
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 1);
}
