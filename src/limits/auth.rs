//! Bounds of user tokens.

use super::HEAD_BYTES_MAX;

/// Longest token of a user, in bytes. Of a longer one nothing is decoded.
pub const USER_TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest file of the keys that tokens are verified with, in bytes.
pub const AUTH_KEYS_BYTES_MAX: usize = 64 * 1024;
/// Most keys in that file.
pub const AUTH_KEYS_MAX: usize = 64;
/// Most keys that one token is verified with, where its header names none.
pub const AUTH_KEYS_TRIED_MAX: usize = 4;
/// Longest id of a key, in bytes.
pub const AUTH_KEY_ID_BYTES_MAX: usize = 256;
/// Shortest secret that signs tokens, in bytes: RFC 7518 wants as many bits as the digest has.
pub const AUTH_SECRET_BYTES_MIN: usize = 32;
/// Longest secret that signs tokens, in bytes.
pub const AUTH_SECRET_BYTES_MAX: usize = 1_024;
/// Most items, and most sales, that one token may name.
pub const GRANTS_MAX: usize = 32;
/// Seconds by which the clock of an issuer may differ from ours, where nothing is configured.
pub const LEEWAY_SECONDS_DEFAULT: u32 = 30;
/// Most seconds by which the clock of an issuer may differ from ours.
pub const LEEWAY_SECONDS_MAX: u32 = 300;
/// Seconds that a session lasts, where nothing is configured.
pub const SESSION_SECONDS_DEFAULT: u32 = 900;
/// Shortest session, in seconds.
pub const SESSION_SECONDS_MIN: u32 = 60;
/// Longest session, in seconds.
pub const SESSION_SECONDS_MAX: u32 = 3_600;

const _: () = {
    // A request has room for what else is in its head.
    assert!(USER_TOKEN_BYTES_MAX * 2 <= HEAD_BYTES_MAX);
    assert!(AUTH_KEYS_TRIED_MAX <= AUTH_KEYS_MAX);
    assert!(SESSION_SECONDS_MIN <= SESSION_SECONDS_DEFAULT);
    assert!(SESSION_SECONDS_DEFAULT <= SESSION_SECONDS_MAX);
    assert!(LEEWAY_SECONDS_DEFAULT <= LEEWAY_SECONDS_MAX);
};
