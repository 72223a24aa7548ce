//! Every machine-readable code that the server knows is described, each with one status.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::http::framing::Refusal;
use flashsale::http::refused;
use flashsale::telemetry::Outcome;
use serde_json::Value;

use crate::document::resolved;
use crate::routes::operations;

/// What is no error.
const SUCCESSES: [Outcome; 5] = [
    Outcome::Ok,
    Outcome::Accepted,
    Outcome::Sold,
    Outcome::Replayed,
    Outcome::Created,
];

/// The codes that a response in JSON is said to have.
fn codes<'a>(response: &'a Value, media_type: &str) -> BTreeSet<&'a str> {
    let (response, _) = resolved(response, String::new());
    let parts = response["content"][media_type]["schema"]["allOf"].as_array();
    let code = parts
        .and_then(|parts| parts.get(1))
        .map(|part| &part["properties"]["error"]);
    let Some(code) = code else {
        return BTreeSet::new();
    };
    let several = code["enum"].as_array().into_iter().flatten();
    let named = several.chain([&code["const"]]).filter_map(Value::as_str);
    named.collect()
}

/// What is answered before any path is looked at, and in JSON alone: codes with their statuses.
fn refusals() -> BTreeMap<String, String> {
    let refused = |refusal| refused::refused(b"", Some(refusal));
    let answers = [
        refused(Refusal::Framing),
        refused(Refusal::TargetTooLong),
        refused(Refusal::HeadTooLong),
        refused::not_encrypted(),
        refused::too_many_connections(),
        refused::too_many_of_one_peer(),
    ];
    let parse = |answer: &[u8]| {
        let text = std::str::from_utf8(answer).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let code = body["error"].as_str().expect("a name").to_owned();
        (code, head["HTTP/1.1 ".len()..][..3].to_owned())
    };
    answers.iter().map(|answer| parse(answer)).collect()
}

#[test]
fn every_code_is_described_with_one_status() {
    let mut statuses = BTreeMap::new();
    let refusals = refusals();
    for (path, method, operation) in operations() {
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses {
            let plain = codes(response, "application/json");
            let rfc_9457 = codes(response, "application/problem+json");
            let in_both = |code: &&str| !refusals.contains_key(*code) || rfc_9457.contains(*code);
            let expected: BTreeSet<_> = plain.iter().copied().filter(in_both).collect();
            assert_eq!(expected, rfc_9457, "{method} {path} {status}");
            let (described, _) = resolved(response, String::new());
            let text = described["description"].as_str().expect("a description");
            for code in plain {
                assert!(
                    text.contains(&format!("* `{code}`: ")),
                    "{method} {path}: {code}"
                );
                let known = statuses.entry(code).or_insert_with(|| status.clone());
                assert_eq!(known, status, "{method} {path}: {code}");
            }
        }
    }
    for (path, method, operation) in operations() {
        for (code, status) in &refusals {
            let described = codes(&operation["responses"][status], "application/json");
            assert!(described.contains(code.as_str()), "{method} {path}: {code}");
        }
    }
    let errors = Outcome::ALL
        .iter()
        .filter(|outcome| !SUCCESSES.contains(outcome));
    let mut expected: BTreeSet<_> = errors.map(|outcome| outcome.as_str()).collect();
    expected.extend(refusals.keys().map(String::as_str));
    assert_eq!(statuses.into_keys().collect::<BTreeSet<_>>(), expected);
}
