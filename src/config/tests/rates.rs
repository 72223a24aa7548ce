//! The limits of rates.

use serde_json::json;

use super::from_file;
use crate::types::RateLimit;

#[test]
fn a_limit_is_a_rate_and_a_burst_or_nothing() {
    let limit = |value| from_file("limits.address", &value).map(|config| config.limits.address);
    assert_eq!(limit(json!(null)).unwrap(), None);
    let given = RateLimit {
        per_second: 5,
        burst: 20,
    };
    assert_eq!(
        limit(json!({"per_second": 5, "burst": 20})).unwrap(),
        Some(given)
    );
    let highest = json!({"per_second": 100_000, "burst": 100_000});
    assert!(limit(highest).unwrap().is_some());
    for wrong in [
        json!({}),
        json!({"per_second": 5}),
        json!({"per_second": 5, "burst": 20, "window": 1}),
        json!({"per_second": 5, "bursts": 20}),
        json!({"per_second": 0, "burst": 20}),
        json!({"per_second": 5, "burst": 0}),
        json!({"per_second": 0.5, "burst": 20}),
        json!({"per_second": -5, "burst": 20}),
        json!({"per_second": "5", "burst": 20}),
        json!({"per_second": 100_001, "burst": 20}),
        json!({"per_second": 5, "burst": 100_001}),
        json!(5),
        json!([5, 20]),
        json!("5/20"),
    ] {
        let said = limit(wrong.clone()).unwrap_err().to_string();
        assert!(
            said.contains("null (off), or an object such as"),
            "{wrong}: {said}"
        );
    }
}
