//! The bounds that are described are those of the code.

use flashsale::limits as bounds;
use flashsale::types::{IdempotencyKey, SaleId, UserId};
use serde_json::{Value, json};

use crate::contract::document::{DOCUMENT, schema};
use crate::contract::routes::operations;

fn at(pointer: &str) -> &'static Value {
    let found = DOCUMENT.pointer(pointer);
    found.unwrap_or_else(|| panic!("there is no {pointer}"))
}

/// The schema of a parameter.
fn parameter(operation: &str, name: &str) -> &'static Value {
    let mut all = operations();
    let (_, _, operation) = all
        .find(|(_, _, found)| found["operationId"] == operation)
        .expect("an operation");
    let parameters = operation["parameters"].as_array().expect("parameters");
    let found = parameters
        .iter()
        .find(|parameter| parameter["name"] == name);
    &found.expect("a parameter")["schema"]
}

#[test]
fn bounds_are_those_of_the_code() {
    let schemas = "/components/schemas";
    let new_sale = format!("{schemas}/NewSale/properties");
    let new_item = format!("{schemas}/NewItem/properties");
    let page = parameter("sales", "limit");
    let quantity = parameter("checkout", "quantity");
    let key = parameter("purchase", "Idempotency-Key");
    for (described, bound) in [
        (
            at(&format!("{schemas}/Id/maxLength")),
            bounds::ID_BYTES_MAX as u64,
        ),
        (
            at(&format!("{new_item}/id/maxLength")),
            bounds::ID_BYTES_MAX as u64,
        ),
        (
            at(&format!("{new_item}/name/maxLength")),
            bounds::ITEM_NAME_BYTES_MAX as u64,
        ),
        (
            at(&format!("{new_item}/image_url/maxLength")),
            bounds::IMAGE_URL_BYTES_MAX as u64,
        ),
        (
            at(&format!("{new_item}/stock/maximum")),
            bounds::ITEM_STOCK_MAX,
        ),
        (
            at(&format!("{new_item}/max_per_user/maximum")),
            bounds::ITEMS_PER_USER_MAX.into(),
        ),
        (
            at(&format!("{new_sale}/total_items/maximum")),
            bounds::SALE_ITEMS_MAX.into(),
        ),
        (
            at(&format!("{new_sale}/items/maxItems")),
            bounds::SALE_ITEMS_MAX.into(),
        ),
        (
            at(&format!("{new_sale}/max_items_per_user/maximum")),
            bounds::ITEMS_PER_USER_MAX.into(),
        ),
        (
            at(&format!("{new_sale}/hold_seconds/maximum")),
            bounds::HOLD_SECONDS_MAX.into(),
        ),
        (
            at(&format!("{new_sale}/payment_seconds/maximum")),
            bounds::PAYMENT_SECONDS_MAX.into(),
        ),
        (at(&format!("{new_sale}/seed/maximum")), u64::MAX >> 1),
        (&quantity["maximum"], bounds::ITEMS_PER_USER_MAX.into()),
        (&key["maxLength"], bounds::IDEMPOTENCY_KEY_BYTES_MAX as u64),
        (&page["maximum"], bounds::PAGE_ITEMS_MAX.into()),
        (&page["default"], bounds::PAGE_ITEMS_DEFAULT.into()),
        (
            at("/components/headers/RetryAfterLockOut/schema/maximum"),
            bounds::AUTHENTICATION_WINDOW_SECONDS.into(),
        ),
    ] {
        assert_eq!(*described, json!(bound));
    }
    assert_eq!(parameter("checkout", "Idempotency-Key"), key);
    for operation in ["sale_items", "admin_purchases"] {
        assert_eq!(parameter(operation, "limit"), page);
    }
}

#[test]
fn bounds_in_words_are_those_of_the_code() {
    let body = |path: &str| at(&format!("/paths/{path}/post/description"));
    let sale = at("/paths/~1admin~1sales/post/requestBody/description");
    let head = at("/components/responses/HeadTooLong/description");
    for (text, bound) in [
        (body("~1checkout"), bounds::BODY_BYTES_MAX),
        (body("~1purchase"), bounds::BODY_BYTES_MAX),
        (sale, bounds::ADMIN_BODY_BYTES_MAX),
        (head, bounds::HEAD_BYTES_MAX),
        (head, bounds::HEADERS_MAX),
    ] {
        let text = text.as_str().expect("a text");
        let mut words = text.split(' ');
        assert!(
            words.any(|word| word == bound.to_string()),
            "{text:?} without {bound}"
        );
    }
}

/// Texts at the edges of what is allowed: the schema says of each what the parser says.
#[test]
fn patterns_say_what_the_parsers_say() {
    let id = schema("/components/schemas/Id");
    let long = "x".repeat(bounds::ID_BYTES_MAX);
    let longer = format!("{long}x");
    for text in [
        "", "a", "ü x", "a\u{1f}", "a\u{7f}", "a\u{9f}", "\u{a0}", "\u{2028}", &long, &longer,
    ] {
        assert_eq!(
            id.is_valid(&json!(text)),
            UserId::new(text).is_ok(),
            "{text:?}"
        );
    }
    let sale = schema("/components/schemas/SaleId");
    for text in [
        "0",
        "1",
        "01",
        "+1",
        "",
        "999999999",
        "4199999999",
        "4294967295",
        "4294967296",
        "9999999999",
    ] {
        assert_eq!(
            sale.is_valid(&json!(text)),
            text.parse::<SaleId>().is_ok(),
            "{text}"
        );
        let code = format!("CHK-{text}-{}", "0".repeat(32));
        let is_code = schema("/components/schemas/Code").is_valid(&json!(code));
        assert_eq!(
            is_code,
            code.parse::<flashsale::types::CheckoutCode>().is_ok(),
            "{code}"
        );
    }
    let key = parameter("purchase", "Idempotency-Key");
    let longest = "k".repeat(bounds::IDEMPOTENCY_KEY_BYTES_MAX);
    let longer = format!("{longest}k");
    for text in ["", "a b", "!~", "a\u{7f}", "ü", &longest, &longer] {
        let is_key = jsonschema::is_valid(key, &json!(text));
        assert_eq!(is_key, IdempotencyKey::new(text).is_ok(), "{text:?}");
    }
}
