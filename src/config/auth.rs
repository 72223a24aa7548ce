//! Who asks: the keys that user tokens are verified with, and what tokens must be.

use std::path::PathBuf;

use super::keys;
use super::rules::is_visible_ascii;
use super::validate::Check;
use super::values::SecretText;
use crate::env::Secret;
use crate::limits::{AUTH_SECRET_BYTES_MAX, AUTH_SECRET_BYTES_MIN};

/// The settings of user tokens.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The file of the keys: a JWK Set, or secrets of HS256, one a line.
    pub keys: PathBuf,
    /// The issuer that tokens must name; `None` for any whose key is in the file.
    pub issuer: Option<String>,
    /// The audience that tokens must name; `None` where they must name none.
    pub audience: Option<String>,
    /// A buyer must have a token.
    pub is_required: bool,
    /// Seconds by which the clock of the issuer may differ from ours.
    pub leeway_seconds: u32,
    /// What signs sessions: one secret, or two with a space or a line break between them.
    pub session_secret: Secret,
    /// Seconds that a session lasts.
    pub session_seconds: u32,
}

/// A secret that signs sessions, or both of a rotation.
pub(super) const SESSION_SECRET: SecretText = SecretText {
    allowed: || {
        format!(
            "empty, or {AUTH_SECRET_BYTES_MIN} to {AUTH_SECRET_BYTES_MAX} visible ASCII characters, or two of these with a space or a line break between them"
        )
    },
    is_allowed: |text| text.is_empty() || is_session_secret(text),
};

fn is_session_secret(text: &str) -> bool {
    let lengths = AUTH_SECRET_BYTES_MIN..=AUTH_SECRET_BYTES_MAX;
    let is_one = |word: &str| lengths.contains(&word.len()) && is_visible_ascii(word);
    let mut words = text.split_ascii_whitespace();
    (1..=2).contains(&words.clone().count()) && words.all(is_one)
}

/// Reads the settings of user tokens; `None` where there are none. The keys and the secret of sessions belong together.
pub(super) fn auth(check: &mut Check) -> Option<AuthConfig> {
    let keys = check.optional_path(keys::AUTH_KEYS);
    let issuer = check.optional_text(keys::AUTH_ISSUER);
    let audience = check.optional_text(keys::AUTH_AUDIENCE);
    let is_required = check.read(keys::AUTH_REQUIRED);
    let leeway_seconds = check.read(keys::AUTH_LEEWAY_SECONDS);
    let session_secret = check.secret(keys::AUTH_SESSION_SECRET);
    let session_seconds = check.read(keys::AUTH_SESSION_SECONDS);
    match (keys, session_secret) {
        (Some(keys), Some(session_secret)) => {
            return Some(AuthConfig {
                keys,
                issuer,
                audience,
                is_required,
                leeway_seconds,
                session_secret,
                session_seconds,
            });
        }
        (Some(_), None) => check.lacks(keys::AUTH_KEYS.key, keys::AUTH_SESSION_SECRET.key),
        (None, Some(_)) => check.lacks(keys::AUTH_SESSION_SECRET.key, keys::AUTH_KEYS.key),
        (None, None) => {}
    }
    check.effective.switch_off("auth");
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::load_variables;
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_keys_and_the_secret_of_sessions_belong_together() {
        assert!(load_variables(&[]).is_ok_and(|config| config.auth.is_none()));
        let alone = load_variables(&[("AUTH_KEYS", "k.json")]).expect_err("no secret");
        assert!(alone.contains("auth.keys") && alone.contains("auth.session_secret"));
        let alone = load_variables(&[("AUTH_SESSION_SECRET", SECRET)]).expect_err("no keys");
        assert!(alone.contains("given together with auth.keys") && !alone.contains(SECRET));
        let both = [("AUTH_KEYS", "k.json"), ("AUTH_SESSION_SECRET", SECRET)];
        let auth = load_variables(&both).expect("both").auth.expect("on");
        assert!(auth.is_required, "where nothing else is said");
        assert_eq!((auth.leeway_seconds, auth.session_seconds), (30, 900));
        assert_eq!((auth.issuer, auth.audience), (None, None));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let long = "x".repeat(AUTH_SECRET_BYTES_MAX + 1);
        for (variable, value) in [
            ("AUTH_SESSION_SECRET", "short"),
            ("AUTH_SESSION_SECRET", &long),
            ("AUTH_SESSION_SECONDS", "59"),
            ("AUTH_SESSION_SECONDS", "3601"),
            ("AUTH_LEEWAY_SECONDS", "301"),
            ("AUTH_REQUIRED", "maybe"),
            ("AUTH_ISSUER", "a\nb"),
        ] {
            let said = load_variables(&[(variable, value)]).expect_err(value);
            assert!(said.contains(variable) && !said.contains(&long), "{said}");
        }
        let two = format!("{SECRET}\n{SECRET}x");
        assert!(is_session_secret(&two) && !is_session_secret(&format!("{two} {SECRET}")));
    }
}
