//! Bounds of what is known of clients: their addresses, and how often they may ask.

/// Most blocks of trusted proxies.
pub const TRUSTED_PROXIES_MAX: usize = 1_024;
/// Most trusted hops that are followed to a client. A longer chain is taken for a loop.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Longest PROXY header behind its first 16 bytes. The longest address takes 216 bytes; the rest is for extensions.
pub const PROXY_HEADER_BYTES_MAX: usize = 4_096;

/// Highest limit of a client, in requests a second.
pub const LIMIT_PER_SECOND_MAX: u32 = 100_000;
/// Highest limit of a client for requests at once.
pub const LIMIT_BURST_MAX: u32 = 100_000;
/// Clients that a set of a table of rates has room for: one cache line.
pub const LIMIT_CELLS: usize = 8;
/// Sets of a table of rates. With all cells it takes half a mebibyte, and has room for 65,536 clients who are active at a time.
pub const LIMIT_SETS: usize = 8_192;

const _: () = {
    assert!(LIMIT_SETS.is_power_of_two() && LIMIT_CELLS * size_of::<u64>() == 64);
    assert!(PROXY_HEADER_BYTES_MAX >= 216);
};
