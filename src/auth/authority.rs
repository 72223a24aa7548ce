//! Trust in tokens: the keys in force, and the rules for claims.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;

use super::claims::{ClaimRules, Claims};
use super::key_set::KeySet;
use super::session::SessionKeys;
use super::token;
use crate::limits::USER_TOKEN_BYTES_MAX;
use crate::telemetry::TokenRefusal;
use crate::types::Timestamp;

/// The settings of an [`Authority`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityOptions {
    /// The rules for claims.
    pub rules: ClaimRules,
    /// A buyer must have a token.
    pub is_required: bool,
    /// Seconds that a session lasts, if the token lasts as long.
    pub session_s: u32,
}

/// Says who a user is. All workers share it, and its keys may be replaced at any time.
#[derive(Debug)]
pub struct Authority {
    options: AuthorityOptions,
    keys: ArcSwap<KeySet>,
    session_keys: ArcSwap<SessionKeys>,
    /// By the numbers of the reasons.
    refused: [AtomicU64; TokenRefusal::ALL.len()],
}

/// A session that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct UserSession {
    /// The token.
    pub token: String,
    /// The user.
    pub user: Box<str>,
    /// The time of its end.
    pub expires_at: Timestamp,
}

impl Authority {
    /// Creates an authority that trusts in `keys`, and signs sessions with `session_keys`.
    #[must_use]
    pub fn new(options: AuthorityOptions, keys: KeySet, session_keys: SessionKeys) -> Self {
        Self {
            options,
            keys: ArcSwap::from_pointee(keys),
            session_keys: ArcSwap::from_pointee(session_keys),
            refused: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Returns whether whoever buys must have a token.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.options.is_required
    }

    /// Replaces the keys that tokens are verified with.
    pub fn set_keys(&self, keys: KeySet) {
        self.keys.store(keys.into());
    }

    /// Replaces the keys of sessions.
    pub fn set_session_keys(&self, keys: SessionKeys) {
        self.session_keys.store(keys.into());
    }

    /// Returns what a token, or a session, proves at `now`.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn prove(&self, token: &str, now: Timestamp) -> Result<Claims, TokenRefusal> {
        let proven = self.proven(token, now);
        proven.map_err(|reason| self.refuse(reason))
    }

    /// Counts a request that was refused for this reason, which is returned.
    pub fn refuse(&self, reason: TokenRefusal) -> TokenRefusal {
        self.refused[reason as usize].fetch_add(1, Relaxed);
        reason
    }

    /// Returns how many requests were refused since the start, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (TokenRefusal, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Relaxed));
        TokenRefusal::ALL.iter().copied().zip(counts)
    }

    fn proven(&self, token: &str, now: Timestamp) -> Result<Claims, TokenRefusal> {
        let now_s = seconds(now);
        if token.len() > USER_TOKEN_BYTES_MAX {
            return Err(TokenRefusal::TooLong);
        }
        if SessionKeys::is_session(token) {
            return self.session_keys.load().verify(token, now_s);
        }
        let payload = token::verify(token, &self.keys.load())?;
        self.options.rules.read(&payload, now_s)
    }

    /// Exchanges a token for a session, which does not last longer than the token.
    ///
    /// # Errors
    /// The token proves nothing, or is a session itself: that would never end.
    pub fn exchange(&self, token: &str, now: Timestamp) -> Result<UserSession, TokenRefusal> {
        if SessionKeys::is_session(token) {
            return Err(self.refuse(TokenRefusal::Session));
        }
        let mut claims = self.prove(token, now)?;
        let longest_s = seconds(now) + u64::from(self.options.session_s);
        // What a token is worth only by the leeway lasts no longer in another form.
        let leeway_s = u64::from(self.options.rules.leeway_s);
        claims.expires_s = claims.expires_s.saturating_add(leeway_s).min(longest_s);
        let issued = self.session_keys.load().issue(&claims);
        let expires_s = i64::try_from(claims.expires_s).unwrap_or(i64::MAX);
        Ok(UserSession {
            token: issued.ok_or_else(|| self.refuse(TokenRefusal::UnknownKey))?,
            user: claims.user,
            expires_at: Timestamp::from_seconds(expires_s),
        })
    }
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.seconds()).unwrap_or(0)
}
