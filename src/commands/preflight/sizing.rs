//! The disk and memory that a sale takes, in bytes. The numbers are measured: `docs/decisions/0016-backups.md`.

use crate::config::Config;
use crate::limits;

/// Journal bytes of one checkout: where many come at once, and where each comes by itself.
const CHECKOUT_BYTES: std::ops::RangeInclusive<u64> = 70..=128;
/// Journal bytes of one purchase, where each comes by itself.
const PURCHASE_BYTES_MAX: u64 = 128;
/// Checkouts for each unit that is sold, where most do not purchase or come too late.
const CHECKOUTS_A_UNIT: u64 = 10;
/// Memory of one connection.
const CONNECTION_BYTES: u64 = 12 * 1024;
/// Memory of one user with an open checkout.
const USER_BYTES: u64 = 230;
/// Memory of a server without connections and sales.
const BASE_BYTES: u64 = 64 << 20;

/// The journal of one sale that is wanted by many, in bytes.
pub(super) fn sale_bytes(config: &Config) -> u64 {
    let units = u64::from(config.sale.total_items);
    units * (CHECKOUTS_A_UNIT * CHECKOUT_BYTES.end() + PURCHASE_BYTES_MAX)
}

/// Bytes of a journal before anything is sold: two segments, and as much again for a snapshot.
pub(super) fn journal_bytes_min(config: &Config) -> u64 {
    3 * config.journal.segment_bytes
}

/// The memory that `connections` take with ten users for each unit, in bytes.
pub(super) fn memory_bytes(config: &Config, connections: u64) -> u64 {
    let users = u64::from(config.sale.total_items) * CHECKOUTS_A_UNIT;
    BASE_BYTES + connections * CONNECTION_BYTES + users * USER_BYTES
}

/// Files that `connections` need.
pub(super) fn files(connections: u64) -> u64 {
    connections + limits::RESERVED_FILES
}
