//! Bounds of what is known of clients: their addresses.

/// Most blocks of trusted proxies.
pub const TRUSTED_PROXIES_MAX: usize = 1_024;
/// Most trusted hops that are followed to a client. A longer chain is taken for a loop.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Longest PROXY header behind its first 16 bytes. The longest address takes 216 bytes; the rest is for extensions.
pub const PROXY_HEADER_BYTES_MAX: usize = 4_096;

const _: () = {
    assert!(PROXY_HEADER_BYTES_MAX >= 216);
};
