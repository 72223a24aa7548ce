//! Claims that are taken, and claims that refuse their token.

use serde_json::{Value, json};

use super::*;

#[test]
fn claims_are_what_they_must_be() {
    let ada = prove(&claims()).expect("a user");
    assert_eq!((ada.user().as_str(), ada.expires_s), ("ada", NOW_S + 60));
    assert_eq!(ada.grants, Grants::default());
    let wrong = [
        ("sub", json!(null)),
        ("sub", json!(7)),
        ("sub", json!("")),
        ("sub", json!("a\u{7}")),
        ("sub", json!("a".repeat(129))),
        ("exp", json!(null)),
        ("exp", json!("1900000000")),
        ("exp", json!([NOW_S + 60])),
        ("exp", json!(true)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("iat", json!("0")),
        ("iss", json!(1)),
        ("iss", json!(["a"])),
        ("aud", json!(1)),
        ("aud", json!([1])),
        ("aud", json!(null)),
        ("fs_limit", json!("1")),
        ("fs_limit", json!(-1)),
        ("fs_limit", json!(1.5)),
        ("fs_items", json!("a")),
        ("fs_items", json!([""])),
        ("fs_items", json!([1])),
        ("fs_items", json!(vec!["a"; GRANTS_MAX + 1])),
        ("fs_sales", json!(["0"])),
        ("fs_sales", json!([1])),
        ("fs_sales", json!({"1": true})),
    ];
    for (name, value) in wrong {
        let refused = prove(&with(name, value.clone()));
        assert_eq!(refused, Err(TokenRefusal::Claims), "{name} = {value}");
    }
    for name in ["sub", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        assert_eq!(prove(&claims), Err(TokenRefusal::Claims), "without {name}");
    }
    let twice = format!(r#"{{"sub":"ada","sub":"eve","exp":{}}}"#, NOW_S + 60);
    let header = json!({ "alg": "HS256" });
    let twice = signed(&header, twice.as_bytes(), SECRET.as_bytes());
    let refused = authority(ClaimRules::default()).prove(&twice, NOW);
    assert_eq!(refused, Err(TokenRefusal::Claims));
}

#[test]
fn times_have_a_leeway_and_fractions() {
    let rules = || ClaimRules {
        leeway_s: 30,
        ..ClaimRules::default()
    };
    let of = |name: &str, value: Value, rules: ClaimRules| {
        let claims = with(name, value);
        authority(rules).prove(&token(&claims), NOW).map(drop)
    };
    let strict = ClaimRules::default;
    let expired = Err(TokenRefusal::Expired);
    assert_eq!(of("exp", json!(NOW_S), strict()), expired);
    assert_eq!(of("exp", json!(NOW_S as f64 + 0.5), strict()), expired);
    assert_eq!(of("exp", json!(NOW_S + 1), strict()), Ok(()));
    assert_eq!(of("exp", json!(NOW_S - 30), rules()), expired);
    assert_eq!(of("exp", json!(NOW_S - 29), rules()), Ok(()));
    assert_eq!(of("exp", json!(-1), rules()), expired);
    assert_eq!(of("exp", json!(1e300), rules()), Ok(()));
    let early = Err(TokenRefusal::NotYetValid);
    assert_eq!(of("nbf", json!(NOW_S), strict()), Ok(()));
    assert_eq!(of("nbf", json!(NOW_S as f64 + 0.5), strict()), early);
    assert_eq!(of("nbf", json!(NOW_S + 30), rules()), Ok(()));
    assert_eq!(of("nbf", json!(NOW_S + 31), rules()), early);
    assert_eq!(of("nbf", json!(1e300), rules()), early);
}

#[test]
fn an_issuer_and_an_audience_must_be_ours() {
    let rules = ClaimRules {
        issuer: Some("https://shop".into()),
        audience: Some("flashsale".into()),
        leeway_s: 0,
    };
    let of = |issuer: Value, audience: Value| {
        let mut claims = with("iss", issuer);
        claims["aud"] = audience;
        claims
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        authority(rules.clone())
            .prove(&token(&claims), NOW)
            .map(drop)
    };
    let (ours, us) = (|| json!("https://shop"), || json!("flashsale"));
    assert_eq!(of(ours(), us()), Ok(()));
    assert_eq!(of(ours(), json!(["other", "flashsale"])), Ok(()));
    for issuer in [json!(null), json!("https://shop/"), json!("https://other")] {
        assert_eq!(of(issuer, us()), Err(TokenRefusal::Issuer));
    }
    for audience in [
        json!(null),
        json!("flash"),
        json!([]),
        json!(["flashsale2"]),
    ] {
        assert_eq!(of(ours(), audience), Err(TokenRefusal::Audience));
    }
    // A token for an audience is not for whoever has no name.
    assert_eq!(prove(&with("aud", us())), Err(TokenRefusal::Audience));
    assert!(prove(&with("aud", json!([]))).is_ok());
    assert!(prove(&with("iss", ours())).is_ok());
}

#[test]
fn grants_narrow() {
    let mut claims = with("fs_limit", json!(2));
    claims["fs_items"] = json!(["a", "b"]);
    claims["fs_sales"] = json!(["1", "7"]);
    let grants = prove(&claims).expect("a user").grants;
    let item = |id| ItemId::new(id).expect("an id");
    assert_eq!(grants.limit, Some(2));
    assert!(grants.allow_item(item("a")) && !grants.allow_item(item("c")));
    assert!(grants.allow_sale(SaleId(7)) && !grants.allow_sale(SaleId(2)));
    let none = Grants::default();
    assert!(none.allow_item(item("c")) && none.allow_sale(SaleId(2)));
    let nothing = prove(&with("fs_sales", json!([]))).expect("a user").grants;
    assert!(!nothing.allow_sale(SaleId(1)));
}
