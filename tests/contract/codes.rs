//! Every error that the server knows is described, each with one status.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::runtime::http1::framing::Refusal;
use flashsale::runtime::http1::raw_response;
use flashsale::telemetry::{Outcome, Route};
use serde_json::Value;

use crate::contract::document::{DOCUMENT, errors_of, resolved};
use crate::contract::routes::operations;

/// The outcomes that are not errors.
const SUCCESSES: [Outcome; 5] = [
    Outcome::Ok,
    Outcome::Accepted,
    Outcome::Sold,
    Outcome::Replayed,
    Outcome::Created,
];

/// Raw responses, which have no path and only JSON: errors with their statuses.
fn refusals() -> BTreeMap<String, String> {
    let refused = |refusal| raw_response::with_body(b"", Some(refusal));
    let answers = [
        refused(Refusal::Framing),
        refused(Refusal::TargetTooLong),
        refused(Refusal::HeadTooLong),
        raw_response::https_required(),
        raw_response::too_many_connections(),
        raw_response::too_many_of_one_peer(),
    ];
    let parse = |answer: &[u8]| {
        let text = std::str::from_utf8(answer).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let error = body["error"].as_str().expect("a name").to_owned();
        (error, head["HTTP/1.1 ".len()..][..3].to_owned())
    };
    answers.iter().map(|answer| parse(answer)).collect()
}

#[test]
fn every_error_is_described_with_one_status() {
    let mut statuses = BTreeMap::new();
    let refusals = refusals();
    for (path, method, operation) in operations() {
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses {
            let errors = errors_of(response);
            let (response, _) = resolved(response, String::new());
            let is_late = errors.iter().any(|error| !refusals.contains_key(*error));
            let rfc_9457 = &response["content"]["application/problem+json"];
            assert!(!is_late || rfc_9457.is_object(), "{method} {path} {status}");
            for error in errors {
                let known = statuses.entry(error).or_insert_with(|| status.clone());
                assert_eq!(known, status, "{method} {path}: {error}");
            }
        }
        for (error, status) in &refusals {
            let described = errors_of(&operation["responses"][status]);
            assert!(
                described.contains(error.as_str()),
                "{method} {path}: {error}"
            );
        }
    }
    let errors = Outcome::ALL
        .iter()
        .filter(|outcome| !SUCCESSES.contains(outcome));
    let mut expected: BTreeSet<_> = errors.map(|outcome| outcome.as_str()).collect();
    expected.extend(refusals.keys().map(String::as_str));
    assert_eq!(statuses.into_keys().collect::<BTreeSet<_>>(), expected);
}

/// The routes and outcomes that distributions are asked for by, and shown with, are those of the code.
#[test]
fn every_label_of_a_distribution_is_described() {
    let routes: BTreeSet<_> = Route::ALL.iter().map(|route| route.as_str()).collect();
    let outcomes: BTreeSet<_> = Outcome::ALL.iter().map(|it| it.as_str()).collect();
    let classes = BTreeSet::from(["confirmed", "repeated", "refused", "shown"]);
    let words = |schema: &'static Value| -> BTreeSet<&str> {
        let words = schema["enum"].as_array().expect("words");
        words.iter().filter_map(Value::as_str).collect()
    };
    let shown = "/components/schemas/Histograms/properties/histograms/items/properties";
    let shown = DOCUMENT.pointer(shown).expect("the distributions");
    assert_eq!(words(&shown["route"]), routes);
    assert_eq!(words(&shown["outcome"]), outcomes);
    let asked = DOCUMENT.pointer("/paths/~1health~1histogram/get/parameters");
    let asked = asked.and_then(Value::as_array).expect("parameters");
    let asked = |name: &str| {
        let found = asked.iter().find(|it| it["name"] == name);
        words(&found.expect("a parameter")["schema"])
    };
    assert_eq!(asked("route"), routes);
    assert_eq!(asked("outcome"), &outcomes | &classes);
}

/// One type serves every error in both forms, so that a generated client has one, too.
#[test]
fn every_error_has_the_same_schema() {
    for (path, method, operation) in operations() {
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses
            .iter()
            .filter(|(status, _)| status.as_str() >= "400")
        {
            let (response, _) = resolved(response, String::new());
            let content = response["content"].as_object().expect("a body");
            for (_, content) in content.iter().filter(|(name, _)| name.ends_with("json")) {
                let schema = &content["schema"]["$ref"];
                assert_eq!(
                    schema, "#/components/schemas/Error",
                    "{method} {path} {status}"
                );
            }
        }
    }
}
