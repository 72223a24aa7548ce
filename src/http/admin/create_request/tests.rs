use proptest::prelude::*;

use super::*;
use crate::limits::ADMIN_ERRORS_MAX;

const DEFAULTS: Rotation = Rotation {
    interval_seconds: 600,
    item_count: 1,
    max_items_per_user: 7,
    hold_seconds: 30,
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
    let NewCatalogue::Generated { item_count, seed } = sale.catalogue else {
        panic!("generated items");
    };
    assert_eq!((item_count, seed), (5, ADDED_SEED | 1 ^ 1_795_428_000));
}

#[test]
fn listed_items_get_ids_and_pictures() {
    let json = r#"{"items":[{"name":"A \u00fc","stock":3},{"id":"b","name":"","image_url":"x","stock":1}],"seed":9}"#;
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
        [("item-1", "A ü", 3), ("b", "", 1)]
    );
    assert_eq!(items[1].image_url, "x");
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
    let many = format!("{{\"items\":[{}1]}}", "1,".repeat(ADMIN_ERRORS_MAX));
    assert_eq!(
        parsed(&many).err().map(|fields| fields.len()),
        Some(ADMIN_ERRORS_MAX)
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
