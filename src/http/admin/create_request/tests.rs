use proptest::prelude::*;

use super::*;
use crate::limits::{ADMIN_ERRORS_MAX, ADMIN_SEPARATORS_MAX};

const DEFAULTS: Rotation = Rotation {
    interval_seconds: 600,
    item_count: 1,
    max_items_per_user: 7,
    hold_seconds: 30,
    payment: PaymentTerms::NONE,
    seed: 1,
};

/// 2026-11-23T10:00:00.5Z
const NOW: Timestamp = Timestamp(1_795_428_000_500_000);

/// Returns the sale of this document, or the fields that are wrong.
fn parsed(json: &str) -> Result<String, Vec<String>> {
    let mut bytes = json.as_bytes().to_vec();
    match CreateRequest::parse(&mut bytes, &DEFAULTS, NOW) {
        Ok(request) => Ok(format!("{:?}", request.sale())),
        Err(problem) => Err(problem.fields().into_iter().map(str::to_owned).collect()),
    }
}

#[track_caller]
fn assert_wrong(json: &str, fields: &[&str]) {
    let fields: Vec<_> = fields.iter().map(|&field| field.to_owned()).collect();
    assert_eq!(parsed(json), Err(fields), "{json}");
}

#[test]
fn what_is_left_out_is_filled_in() {
    let mut json = br#"{"total_items":5,"seed":null}"#.to_vec();
    let request = CreateRequest::parse(&mut json, &DEFAULTS, NOW).expect("a sale");
    let sale = request.sale();
    assert_eq!(sale.started_at.to_string(), "2026-11-23T10:00:00Z");
    assert_eq!(sale.ended_at.to_string(), "2026-11-23T10:10:00Z");
    assert_eq!((sale.max_items_per_user, sale.hold_seconds), (7, 30));
    assert_eq!(sale.payment, PaymentTerms::NONE);
    let NewCatalogue::Generated { item_count, seed } = sale.catalogue else {
        panic!("generated items");
    };
    assert_eq!((item_count, seed), (5, ADDED_SEED | 1 ^ 1_795_428_000));
}

#[test]
fn the_terms_of_paying_may_be_given() {
    let mut json = br#"{"total_items":5,"payment_seconds":900,"purchase_by":"shop"}"#.to_vec();
    let request = CreateRequest::parse(&mut json, &DEFAULTS, NOW).expect("a sale");
    let expected = PaymentTerms {
        seconds: 900,
        purchase_by: PurchaseBy::Shop,
    };
    assert_eq!(request.sale().payment, expected);
}

#[test]
fn listed_items_get_ids_and_pictures() {
    let json = r#"{"items":[{"name":"A \u00fc","stock":3},{"id":"b","name":"B","image_url":"x","stock":1,"max_per_user":2}],"seed":9}"#;
    let mut json = json.as_bytes().to_vec();
    let request = CreateRequest::parse(&mut json, &DEFAULTS, NOW).expect("a sale");
    let NewCatalogue::Explicit(items) = request.sale().catalogue else {
        panic!("listed items");
    };
    let drawn = items[0].image_url;
    assert!(drawn.starts_with("/images/") && drawn.ends_with(".svg"));
    let shown = items.iter().map(|item| (item.id, item.name, item.stock));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [("item-1", "A ü", 3), ("b", "B", 1)]
    );
    assert_eq!(items[1].image_url, "x");
    let limits = [0, 1].map(|place| items[place].max_per_user);
    assert_eq!(limits, [None, NonZeroU16::new(2)]);
}

#[test]
fn everything_that_is_wrong_is_named() {
    assert_wrong("", &["body"]);
    assert_wrong("[]", &["body"]);
    assert_wrong("{", &["body"]);
    assert_wrong("{\"total_items\":1} x", &["body"]);
    assert_wrong("{\"total_items\":1}{}", &["body"]);
    assert_wrong("{}", &["total_items", "items"]);
    assert_wrong(r#"{"total_items":1,"items":[]}"#, &["total_items", "items"]);
    assert_wrong(r#"{"total_items":1,"total_items":1}"#, &["total_items"]);
    assert_wrong(r#"{"total_items":1,"seed":null,"seed":1}"#, &["seed"]);
    assert_wrong(r#"{"total_items":1,"colour":1}"#, &["colour"]);
    assert_wrong(
        r#"{"total_items":0,"started_at":"soon","max_items_per_user":"1","hold_seconds":-1,"seed":0.5}"#,
        &[
            "started_at",
            "max_items_per_user",
            "hold_seconds",
            "seed",
            "total_items",
        ],
    );
    for wrong in ["0", "1000001", "1.5", "1e300", "true", "\"1\"", "[1]", "{}"] {
        assert_wrong(&format!(r#"{{"total_items":{wrong}}}"#), &["total_items"]);
    }
    for wrong in ["{}", "1", "\"a\"", "[]"] {
        assert_wrong(&format!(r#"{{"items":{wrong}}}"#), &["items"]);
    }
    assert_wrong(
        r#"{"items":[{"name":"a","stock":1},[],{"id":1,"stock":1,"x":2},{"name":"b","name":"b","stock":0}]}"#,
        &[
            "items[1]",
            "items[2].x",
            "items[2].id",
            "items[2].name",
            "items[3].name",
            "items[3].stock",
        ],
    );
    let long = format!("{{\"total_items\":1,\"{}\":1}}", "ü".repeat(100));
    assert_wrong(&long, &[&*"ü".repeat(64)]);
}

#[test]
fn a_sale_begins_soon_and_ends_later() {
    let period = |start: &str, end: &str| {
        let times = format!(r#""started_at":"{start}","ended_at":"{end}""#);
        parsed(&format!("{{\"total_items\":1,{times}}}"))
            .err()
            .unwrap_or_default()
    };
    let none: [&str; 0] = [];
    assert_eq!(period("2026-11-23T10:00:00Z", "2026-11-23T10:00:01Z"), none);
    assert_eq!(
        period("2026-11-23T12:00:00+02:00", "2026-11-23T10:00:01Z"),
        none
    );
    assert_eq!(period("2026-11-23T09:59:01Z", "2026-11-23T10:00:01Z"), none);
    assert_eq!(period("2027-11-23T10:00:00Z", "2028-11-22T10:00:00Z"), none);
    assert_eq!(
        period("2026-11-23T09:59:00Z", "2026-11-23T10:00:01Z"),
        ["started_at"]
    );
    assert_eq!(
        period("2027-11-23T10:00:01Z", "2027-11-23T11:00:01Z"),
        ["started_at"]
    );
    assert_eq!(
        period("2026-11-23T09:59:58Z", "2026-11-23T10:00:00Z"),
        ["ended_at"]
    );
    assert_eq!(
        period("2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z"),
        ["ended_at"]
    );
    assert_eq!(
        period("2026-11-23T11:00:00Z", "2027-11-24T11:00:00Z"),
        ["ended_at"]
    );
    assert_eq!(
        period("2026-11-23", "2026-13-23T10:00:00Z"),
        ["started_at", "ended_at"]
    );
    assert_eq!(
        period("-9999-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
        ["started_at", "ended_at"]
    );
}

/// Returns the error of each wrong field.
fn errors_of(json: &[u8]) -> serde_json::Value {
    let mut bytes = json.to_vec();
    let problem = CreateRequest::parse(&mut bytes, &DEFAULTS, NOW).expect_err("it is wrong");
    problem.errors()
}

#[test]
fn a_wrong_start_hides_no_wrong_end_and_blames_no_right_one() {
    let errors = |start: &str, end: &str| {
        let times = format!(r#"{{"total_items":1,"started_at":"{start}"{end}}}"#);
        let mut errors = errors_of(times.as_bytes());
        assert!(errors["started_at"].is_string(), "{times}");
        errors["ended_at"].take()
    };
    for start in ["soon", "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"] {
        let past = errors(start, r#","ended_at":"2026-11-23T10:00:00Z""#);
        assert_eq!(past, "must be in the future", "{start}");
        let late = errors(start, r#","ended_at":"2028-11-24T10:00:00Z""#);
        assert_eq!(late, "must be at most a year after started_at", "{start}");
        for right in [
            "",
            r#","ended_at":"2026-11-23T10:00:01Z""#,
            r#","ended_at":"2028-11-22T10:00:00Z""#,
        ] {
            assert!(errors(start, right).is_null(), "{start} {right}");
        }
    }
}

#[test]
fn faults_of_items_are_all_named_at_once() {
    let long = "x".repeat(257);
    let json = format!(
        r#"{{"items":[
            {{"id":"a","name":"A","stock":1}},
            {{"id":"a","name":"","stock":0}},
            {{"id":"a","stock":1,"image_url":"\n"}},
            {{"id":"ITM-1-1","name":"{long}","stock":1}},
            {{"id":5,"name":"B","stock":1}},
            {{"id":"item-5","name":"B","stock":1,"max_per_user":0}},
            {{"id":"item-8","name":"B","stock":1}},
            {{"name":"B","stock":1}},
            {{"id":"","name":"\u0085","stock":1}},
            []
        ],"started_at":"soon","ended_at":"2026-11-23T10:00:00Z","hold_seconds":-1}}"#
    );
    let expected = serde_json::json!({
        "started_at": "must be a time as RFC 3339 writes it, such as 2026-11-23T10:00:00Z",
        "ended_at": "must be in the future",
        "hold_seconds": "must be a whole number, 0 to 86400",
        "items[1].id": "is the id of another item of this sale",
        "items[1].name": "must be 1 to 256 bytes",
        "items[1].stock": "must be a whole number, 1 to 4294967296",
        "items[2].id": "is the id of another item of this sale",
        "items[2].name": "is required",
        "items[2].image_url": "must not contain control characters",
        "items[3].id": "must not begin with ITM-, as generated ids do",
        "items[3].name": "must be 1 to 256 bytes",
        "items[4].id": "is a number, must be a string",
        "items[5].max_per_user": "must be a whole number, 1 to 1000",
        // The eighth is `item-8` where it names no other.
        "items[7].id": "is the id of another item of this sale",
        "items[8].id": "must be 1 to 128 bytes",
        "items[8].name": "must not contain control characters",
        "items[9]": "is an array, must be an object",
    });
    assert_eq!(errors_of(json.as_bytes()), expected);
}

#[test]
fn errors_that_are_too_many_to_be_named_are_not_passed_over() {
    let list = |items: usize| format!("{{\"items\":[{}1]}}", "1,".repeat(items - 1));
    let most = errors_of(list(ADMIN_ERRORS_MAX - 1).as_bytes());
    assert!(most["body"].is_null(), "{most}");
    let more = errors_of(list(ADMIN_ERRORS_MAX + 1).as_bytes());
    assert_eq!(more["body"], "only its first 100 errors are named");
    let named = more.as_object().map(serde_json::Map::len);
    assert_eq!(named, Some(ADMIN_ERRORS_MAX + 1));
}

#[test]
fn a_list_of_no_items_is_not_refused_for_being_a_list() {
    for (items, found) in [("[]", "has 0 items"), ("{}", "is an object")] {
        let errors = errors_of(format!("{{\"items\":{items}}}").as_bytes());
        let expected = format!("{found}, must be a list of 1 to 1000000 items");
        assert_eq!(errors["items"], expected);
    }
}

#[test]
fn a_name_of_nothing_but_spaces_is_as_good_as_none() {
    for name in [" ", "\u{a0}\u{3000} "] {
        let item = serde_json::json!({"items": [{"name": name, "stock": 1}]});
        let errors = errors_of(item.to_string().as_bytes());
        assert_eq!(errors["items[0].name"], "must not be blank", "{name:?}");
    }
    parsed(r#"{"items":[{"name":" A ","stock":1}]}"#).expect("a name");
}

#[test]
fn a_body_that_is_left_out_is_empty_and_not_cut_off() {
    for body in ["", "\u{feff}", " \r\n"] {
        let errors = errors_of(body.as_bytes());
        assert_eq!(
            errors["body"], "is empty, must be a JSON object",
            "{body:?}"
        );
    }
}

#[test]
fn a_body_that_is_no_json_is_not_wrong_at_a_byte_where_nothing_is() {
    let wrong = |json: &[u8]| {
        let errors = errors_of(json);
        let text = errors["body"].as_str().expect("an error of the body");
        let text = text.strip_prefix("is no JSON");
        let text = text.and_then(|text| text.strip_suffix("; must be a JSON object"));
        text.unwrap_or_else(|| panic!("{errors}")).to_owned()
    };
    let escape = ": a string has an escape that is none, or half of a surrogate pair";
    for text in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\u12g4", r"\x"] {
        // Far enough behind the begin for the parser, which reads 32 bytes at a time.
        for before in ["", &*"a".repeat(100)] {
            let json = format!(r#"{{"items":[{{"name":"{before}{text}"}}]}}"#);
            assert_eq!(wrong(json.as_bytes()), escape, "{json}");
        }
    }
    assert_eq!(wrong(b"{\"total_items\":\"\xff\"}"), ": it is not UTF-8");
    let cut_off = ": it is cut off, or a string has a control character";
    for json in ["{\"total_items", "{\"a\nb\":1}"] {
        assert_eq!(wrong(json.as_bytes()), cut_off, "{json}");
    }
    assert_eq!(wrong(b"{\"total_items\":1} x"), " at byte 16");
    assert_eq!(wrong(b"{\"total_items\":x}"), " at byte 15");
    assert_eq!(wrong(b"\xef\xbb\xbf{\"total_items\":x}"), " at byte 18");
}

/// The parser would take 5 GB for a list of digits in the longest body.
#[test]
fn more_values_than_a_sale_needs_are_refused_before_they_take_memory() {
    let list = |values: usize| format!("{{\"items\":[{}1]}}", "1,".repeat(values - 1));
    let errors = errors_of(list(ADMIN_SEPARATORS_MAX + 1).as_bytes());
    assert_eq!(
        errors["body"],
        "has more values than a sale of 1000000 items needs"
    );
    let errors = errors_of(list(ADMIN_ERRORS_MAX).as_bytes());
    assert_eq!(errors["items[0]"], "is a number, must be an object");
}

/// JSON that comes close to a sale, or not.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let name = prop::sample::select(NAMES.iter().chain(&ITEM_NAMES).copied().collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        (0..5_u64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        Just("2026-11-23T10:00:30Z".into()),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map(name.clone(), inner, 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                serde_json::Value::Object(members.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic_and_errors_name_a_field(mut bytes: Vec<u8>) {
        if let Err(problem) = CreateRequest::parse(&mut bytes, &DEFAULTS, NOW) {
            prop_assert!(!problem.fields().is_empty());
        }
    }

    #[test]
    fn no_document_panics_and_errors_name_a_field(document in document(), cut: prop::sample::Index) {
        let text = document.to_string();
        let mut cut = text.as_bytes()[..cut.index(text.len() + 1)].to_vec();
        for bytes in [&mut text.clone().into_bytes(), &mut cut] {
            if let Err(problem) = CreateRequest::parse(bytes, &DEFAULTS, NOW) {
                prop_assert!(!problem.fields().is_empty());
            }
        }
    }
}
