//! Tokens of users, the files of keys that they are verified with, and their claims.

use flashsale::auth::{ClaimRules, KeySet, SessionKeys, verify};

/// A secret that nobody has signed anything with.
const SECRET: &str = "a-secret-that-nobody-has-signed-anything-with";

/// Reads `bytes` as claims, and as a token with a file of keys behind the first line break. What claims say, a session
/// made of them says, too.
pub fn take(bytes: &[u8]) {
    let sessions = SessionKeys::derive(SECRET);
    if let Ok(claims) = ClaimRules::default().read(bytes, 0) {
        let session = sessions.issue(&claims).expect("there is a key");
        assert_eq!(sessions.verify(&session, 0), Ok(claims));
    }
    let text = String::from_utf8_lossy(bytes);
    assert!(sessions.verify(&format!("fs1.{text}"), 0).is_err());
    let (token, keys) = text.split_once('\n').unwrap_or((&text, ""));
    let secret = KeySet::parse(SECRET).expect("a secret");
    assert!(verify(token, &secret).is_err(), "nobody has signed it");
    match KeySet::parse(keys) {
        Ok(keys) => {
            let _ = verify(token, &keys);
            assert!(!keys.describe().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
