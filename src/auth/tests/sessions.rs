//! Sessions.

use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::*;

#[test]
fn a_session_proves_what_its_token_did() {
    let mut claims = with("fs_limit", json!(2));
    claims["exp"] = json!(NOW_S + 10_000);
    claims["fs_items"] = json!(["a", "b"]);
    claims["fs_sales"] = json!(["1", "7"]);
    let authority = authority(ClaimRules::default());
    let session = authority.exchange(&token(&claims), NOW).expect("a session");
    assert_eq!(session.expires_at, NOW.plus_seconds(900));
    let proven = authority.prove(&session.token, NOW).expect("a user");
    let first = authority.prove(&token(&claims), NOW).expect("a user");
    assert_eq!((&proven.user, &proven.grants), (&first.user, &first.grants));
    let end = NOW.plus_seconds(900);
    let just_before = Timestamp(end.0 - 1);
    assert!(authority.prove(&session.token, just_before).is_ok());
    let over = authority.prove(&session.token, end);
    assert_eq!(over, Err(TokenRefusal::Expired));
    let again = authority.exchange(&session.token, NOW).map(drop);
    assert_eq!(again, Err(TokenRefusal::Session));
    // No longer than its token.
    let short = authority.exchange(&token(&with("exp", json!(NOW_S + 60))), NOW);
    assert_eq!(short.expect("a session").expires_at, NOW.plus_seconds(60));
}

#[test]
fn sessions_outlast_a_rotation_of_their_secret() {
    let (old, new) = ("o".repeat(32), "n".repeat(32));
    let claims = prove(&claims()).expect("a user");
    let issued = |secrets: &str| SessionKeys::derive(secrets).issue(&claims).expect("a key");
    let taken =
        |secrets: &str, session: &str| SessionKeys::derive(secrets).verify(session, NOW_S).is_ok();
    let both = format!("{new}\n{old}");
    assert!(taken(&both, &issued(&old)) && taken(&both, &issued(&new)));
    assert_eq!(issued(&both), issued(&new));
    assert!(!taken(&new, &issued(&old)));
}

#[test]
fn the_secret_of_sessions_signs_no_tokens() {
    let secret = SESSION_SECRET.replace(' ', "-");
    let keys = KeySet::parse(&secret).expect("a secret");
    let session_keys = SessionKeys::derive(&secret);
    let claims = prove(&claims()).expect("a user");
    let session = session_keys.issue(&claims).expect("a key");
    let body = bytes(session.strip_prefix("fs1.").expect("a session"));
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        &body[32..],
    );
    assert_ne!(tag.as_ref(), &body[..32], "the key is derived");
    assert_eq!(verify(&session, &keys), Err(TokenRefusal::Malformed));
}

proptest! {
    #[test]
    fn a_session_says_what_was_said(
        user in "[a-zä-ö]{1,20}",
        expires_s in NOW_S + 1..,
        limit in proptest::option::of(any::<u32>()),
        items in proptest::option::of(proptest::collection::vec("[a-z]{1,128}", 0..=GRANTS_MAX)),
        sales in proptest::option::of(proptest::collection::vec(1_u32.., 0..=GRANTS_MAX)),
    ) {
        let items = items.map(|it| it.into_iter().map(Into::into).collect());
        let sales = sales.map(|it| it.into_iter().map(SaleId).collect());
        let claims = Claims {
            user: user.into(),
            expires_s,
            grants: Grants { limit, items, sales },
        };
        let keys = SessionKeys::derive(SECRET);
        let session = keys.issue(&claims).expect("a key");
        prop_assert!(session.len() <= USER_TOKEN_BYTES_MAX);
        prop_assert_eq!(keys.verify(&session, NOW_S), Ok(claims));
    }
}
