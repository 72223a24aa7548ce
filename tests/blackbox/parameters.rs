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
    for (body, wrong) in [
        ("[]", "is an array, must be an object"),
        ("1", "is a number, must be an object"),
        ("null", "is null, must be an object"),
        ("\"user_id\"", "is a string, must be an object"),
        ("true", "is a boolean, must be an object"),
        ("{", "is no JSON at line 1, column 1; must be a JSON object"),
        (
            "{} x",
            "is no JSON at line 1, column 4; must be a JSON object",
        ),
    ] {
        let answer = post_body(&mut client, ids, JSON, body).invalid(&["body"]);
        assert_eq!(answer.json()["errors"]["body"], wrong, "{body}");
    }
    post_body(&mut client, ids, "text/plain", "x").invalid(&["content_type"]);
    client
        .send("POST", ids, &[], b"x")
        .invalid(&["content_type"]);
    for (wrong, why) in [
        ("1", "is a number, must be a string"),
        ("null", "is required"),
        ("[\"ada\"]", "is an array, must be a string"),
        ("{}", "is an object, must be a string"),
        ("true", "is a boolean, must be a string"),
    ] {
        let body = format!(r#"{{"user_id":{wrong},"id":"ITM-1-0"}}"#);
        let answer = post_body(&mut client, "/checkout", JSON, body).invalid(&["user_id"]);
        assert_eq!(answer.json()["errors"]["user_id"], why, "{wrong}");
    }
    client.post(ids).ok();
}

#[test]
fn a_member_that_is_null_counts_as_left_out() {
    let (_server, mut client) = shop();
    let body = r#"{"user_id":"ada","id":"ITM-1-0","item_id":null,"quantity":null,"sale_id":null}"#;
    let code = post_body(&mut client, "/checkout", JSON, body).ok().code();
    let body = r#"{"user_id":null,"id":null,"item_id":"ITM-1-1"}"#;
    let answer = post_body(&mut client, "/checkout?user_id=ada", JSON, body);
    assert_eq!(answer.ok().json()["items_count"], 2);
    let purchase = format!("/purchase?code={code}");
    post_body(&mut client, &purchase, JSON, r#"{"code":null}"#).ok();
    let answer = post_body(&mut client, "/purchase", JSON, r#"{"code":null}"#);
    let answer = answer.invalid(&["code"]);
    assert_eq!(answer.json()["errors"]["code"], "is required");
    // Which of the two is meant would be a guess.
    for twice in [r#""id":"ITM-1-2","id":null"#, r#""id":null,"id":"ITM-1-2""#] {
        let body = format!(r#"{{"user_id":"ada",{twice}}}"#);
        post_body(&mut client, "/checkout", JSON, body).invalid(&["id", "item_id"]);
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let (_server, mut client) = shop();
    let body = "\u{feff}{\"user_id\":\"ada\",\"id\":\"ITM-1-0\"}";
    let code = post_body(&mut client, "/checkout", JSON, body).ok().code();
    let body = "\u{feff}user_id=ada&id=ITM-1-1";
    let answer = post_body(&mut client, "/checkout", FORM, body);
    assert_eq!(answer.ok().json()["items_count"], 2);
    let purchase = format!("/purchase?code={code}");
    let answer = post_body(&mut client, &purchase, "text/plain", "\u{feff}");
    assert_eq!(answer.ok().json()["total_purchased"], 2);
}

#[test]
fn a_content_encoding_that_is_not_understood_is_415() {
    let (_server, mut client) = shop();
    let body = r#"{"user_id":"ada","id":"ITM-1-0"}"#;
    for coding in ["gzip", "br", "identity, gzip", "deflate,identity"] {
        for target in ["/checkout", "/purchase"] {
            let headers = [("Content-Type", JSON), ("Content-Encoding", coding)];
            let answer = client.send("POST", target, &headers, body.as_bytes());
            let answer = answer.refused(415, "unsupported_media_type", "Content-Encoding");
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
    let headers = [("Content-Type", JSON), ("Content-Encoding", "Identity")];
    let plain = client.send("POST", "/checkout", &headers, body.as_bytes());
    plain.ok();
    // There is nothing that would have to be understood.
    let target = "/checkout?user_id=ada&id=ITM-1-1";
    let empty = client.send("POST", target, &[("Content-Encoding", "gzip")], b"");
    empty.ok();
}

#[test]
fn malformed_parameters_are_reported_before_unknown_ones() {
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
