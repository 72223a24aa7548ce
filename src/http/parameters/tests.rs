use hyper::header::HeaderValue;
use proptest::prelude::*;
use serde_json::Value;

use super::super::values::{Flag, Whole};
use super::*;
use crate::types::SaleId;

fn with_body<'a>(query: &'a str, content_type: &'static str, body: &'a [u8]) -> Parameters<'a> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut parameters = Parameters::from_query(Some(query));
    parameters.add_body(&headers, body);
    parameters
}

fn ids(mut parameters: Parameters<'_>) -> Result<(String, String), Vec<String>> {
    match parameters.buyer_and_item() {
        Ok((user, item)) => Ok((user.as_str().to_owned(), item.as_str().to_owned())),
        Err(problem) => Err(problem.fields().into_iter().map(str::to_owned).collect()),
    }
}

fn named(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|&field| field.to_owned()).collect()
}

fn pair(user: &str, item: &str) -> Result<(String, String), Vec<String>> {
    Ok((user.to_owned(), item.to_owned()))
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const JSON: &str = "Application/JSON";

#[test]
fn every_place_is_read() {
    let query = |text| ids(Parameters::from_query(Some(text)));
    assert_eq!(query("user_id=a&id=b&other=%zz"), pair("a", "b"));
    assert_eq!(
        query("user%5Fid=%C3%BC+x&item_id=a%2Bb&&"),
        pair("ü x", "a+b")
    );
    assert_eq!(ids(with_body("user_id=a", FORM, b"id=b")), pair("a", "b"));
    let broken = "user_id=ü&id=b&other="
        .bytes()
        .chain([0xff])
        .collect::<Vec<_>>();
    assert_eq!(ids(with_body("", FORM, &broken)), pair("ü", "b"));
    assert_eq!(
        ids(with_body(
            "",
            JSON,
            br#"{"user_id":"a","id":"\u00fc","x":[1]}"#
        )),
        pair("a", "ü")
    );
    assert_eq!(
        ids(with_body("user_id=a&id=b", "text/plain", b"")),
        pair("a", "b")
    );
}

#[test]
fn ambiguous_and_malformed_values_are_errors() {
    let query = |text| ids(Parameters::from_query(Some(text)));
    let item = named(&["id", "item_id"]);
    assert_eq!(query("user_id=a&id=b&item_id=b"), Err(item.clone()));
    assert_eq!(query("user_id=a&id=%"), Err(item.clone()));
    assert_eq!(query("user_id=a&id=%4"), Err(item.clone()));
    assert_eq!(query("user_id=a&id=%+1"), Err(item.clone()));
    assert_eq!(query("user_id=a&id=%ff"), Err(item.clone()));
    assert_eq!(query("user_id=a&id=%00"), Err(item.clone()));
    assert_eq!(query("user_id=a&id="), Err(item.clone()));
    assert_eq!(query("user_id=a&id"), Err(item.clone()));
    assert_eq!(query("user_id=a&user_id=a&id=b"), Err(named(&["user_id"])));
    assert_eq!(query("user_id=a&id=b&%ff=1"), Err(named(&["query"])));
    assert_eq!(query(""), Err(named(&["user_id", "id", "item_id"])));
    assert_eq!(
        ids(with_body("id=b", FORM, b"user_id=\xff")),
        Err(named(&["user_id"]))
    );
    assert_eq!(
        ids(with_body("user_id=a&id=b", FORM, b"id=b")),
        Err(item.clone())
    );
    assert_eq!(
        ids(with_body("", JSON, br#"{"user_id":"a","id":1}"#)),
        Err(item.clone())
    );
    assert_eq!(
        ids(with_body("", JSON, br#"{"user_id":"a","id":"b","id":"b"}"#)),
        Err(item)
    );
    assert_eq!(
        ids(with_body("user_id=a&id=b", "text/plain", b"x")),
        Err(named(&["content_type"]))
    );
}

#[test]
fn an_item_has_two_names_and_needs_one_of_them() {
    let wrong = |query| {
        let mut parameters = Parameters::from_query(Some(query));
        let problem = parameters.buyer_and_item().expect_err(query);
        problem.errors()
    };
    let item = |wrong: &str| serde_json::json!({"id": wrong, "item_id": wrong});
    let left_out = item("is required: give either id or item_id");
    assert_eq!(wrong("user_id=a"), left_out);
    let twice = item("must be given only once, as id or as item_id");
    assert_eq!(wrong("user_id=a&id=b&item_id=b"), twice);
    let mut body = with_body("user_id=a", JSON, br#"{"id":"b","id":"c"}"#);
    let problem = body.buyer_and_item().expect_err("given twice");
    assert_eq!(problem.errors(), twice);
    let user = serde_json::json!({"user_id": "is required"});
    assert_eq!(wrong("id=b"), user);
}

#[test]
fn what_may_be_in_a_part_that_cannot_be_read_is_not_missing() {
    for (content_type, body, part) in [
        (JSON, &b"[1]"[..], "body"),
        (JSON, b"{} x", "body"),
        (JSON, b"{\"user_id\":\"a\"", "body"),
        ("text/plain", b"user_id=a&id=b", "content_type"),
        (FORM, b"user_id=a&%zz=b", "body"),
    ] {
        let wrong = |query| ids(with_body(query, content_type, body));
        assert_eq!(wrong(""), Err(named(&[part])), "{content_type} {body:?}");
        // What is wrong beside it is said, too.
        assert_eq!(
            wrong("id=%zz"),
            Err(named(&["id", "item_id", part])),
            "{content_type} {body:?}"
        );
        let mut parameters = with_body("", content_type, body);
        assert_eq!(parameters.required::<Whole>(Field::Code), None);
        let problem = parameters.check().expect_err("the part cannot be read");
        assert_eq!(problem.fields(), [part], "{content_type} {body:?}");
    }
    assert_eq!(
        ids(Parameters::from_query(Some("user_id=a&%ff=b"))),
        Err(named(&["query"]))
    );
}

#[test]
fn quantities_are_whole_numbers() {
    let quantity = |json: &'static str| {
        let mut parameters = with_body("", JSON, json.as_bytes());
        (
            parameters.optional(Field::Quantity),
            parameters.check().is_ok(),
        )
    };
    assert_eq!(quantity(r#"{"quantity":2}"#), (Some(Whole(2)), true));
    assert_eq!(quantity(r#"{"quantity":"2"}"#), (Some(Whole(2)), true));
    assert_eq!(quantity(r#"{"quantity":2.0}"#), (Some(Whole(2)), true));
    assert_eq!(quantity(r#"{"quantity":1e3}"#), (Some(Whole(1000)), true));
    assert_eq!(quantity("{}"), (None, true));
    assert_eq!(quantity(r#"{"quantity":null}"#), (None, true));
    for wrong in [
        "-1",
        "1.5",
        "1e-3",
        "1e300",
        "4294967296",
        "\"+1\"",
        "\"01\"",
        "\"\"",
        "true",
    ] {
        let json = format!("{{\"quantity\":{wrong}}}");
        let mut parameters = with_body("", JSON, json.as_bytes());
        assert_eq!(
            parameters.optional::<Whole>(Field::Quantity),
            None,
            "{wrong}"
        );
        assert!(parameters.check().is_err(), "{wrong}");
    }
}

#[test]
fn the_id_of_a_sale_is_a_string_or_a_number_everywhere() {
    let sale = |mut parameters: Parameters<'_>| {
        let sale = parameters.optional(Field::SaleId);
        (sale, parameters.check().is_ok())
    };
    let second = (Some(SaleId(2)), true);
    assert_eq!(sale(Parameters::from_query(Some("sale_id=2"))), second);
    assert_eq!(sale(with_body("", FORM, b"sale_id=2")), second);
    assert_eq!(sale(with_body("", JSON, br#"{"sale_id":"2"}"#)), second);
    assert_eq!(sale(with_body("", JSON, br#"{"sale_id":2}"#)), second);
    for wrong in ["0", "-1", "1.5", "true", "\"02\""] {
        let json = format!("{{\"sale_id\":{wrong}}}");
        assert_eq!(
            sale(with_body("", JSON, json.as_bytes())),
            (None, false),
            "{wrong}"
        );
    }
}

/// The boolean parameters of what is posted, as the description of the interface has them.
fn described_flags() -> Vec<String> {
    let document: Value = serde_json::from_str(include_str!("../openapi.json")).expect("JSON");
    let paths = document["paths"].as_object().into_iter().flatten();
    let posted = paths.filter_map(|(_, operations)| operations["post"]["parameters"].as_array());
    let flags = posted
        .flatten()
        .filter(|it| it["schema"]["type"] == "boolean");
    let names = flags.filter_map(|it| it["name"].as_str());
    names.map(str::to_owned).collect()
}

#[test]
fn what_is_described_as_a_boolean_is_one_in_json() {
    let names = described_flags();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        let field = Field::named(&name).expect("known");
        let flag = |value: &str| {
            let json = format!("{{\"{name}\":{value}}}");
            let mut parameters = with_body("", JSON, json.as_bytes());
            let flag = parameters.optional(field);
            (flag, parameters.check().is_ok())
        };
        for text in ["true", "\"true\""] {
            assert_eq!(flag(text), (Some(Flag(true)), true), "{name}: {text}");
        }
        for text in ["false", "\"false\""] {
            assert_eq!(flag(text), (Some(Flag(false)), true), "{name}: {text}");
        }
        assert_eq!(flag("null"), (None, true));
        for wrong in ["0", "1", "\"\"", "\"yes\"", "[true]"] {
            assert_eq!(flag(wrong), (None, false), "{name}: {wrong}");
        }
    }
}

#[test]
fn a_boolean_is_no_text_and_no_number() {
    for name in ["user_id", "code", "payment_ref", "ref", "add"] {
        let field = Field::named(name).expect("known");
        let json = format!("{{\"{name}\":true}}");
        let mut parameters = with_body("", JSON, json.as_bytes());
        assert!(parameters.is_given(field));
        let refused = parameters.check().expect_err(name);
        assert_eq!(refused.fields(), [name]);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(query in any::<String>(), body in any::<Vec<u8>>(), json in any::<bool>()) {
        let _ = ids(with_body(&query, if json { JSON } else { FORM }, &body));
    }
}
