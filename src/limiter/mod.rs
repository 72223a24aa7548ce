//! Who is limited, and how: the address of a client as trusted proxies name it, and rates.

pub mod forwarding;
mod gcra;
mod rate_table;

use std::hash::Hash;
use std::net::IpAddr;

pub use self::gcra::{ArrivalRate, RateSet};
pub use self::rate_table::RateTable;
use crate::env::Entropy;
use crate::types::{LimitedBy, Network, RateLimit};

/// An arrival over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The kind of the limit.
    pub by: LimitedBy,
    /// The limit.
    pub limit: RateLimit,
    /// The nanoseconds after which another arrival is allowed.
    pub wait_ns: u64,
}

/// The limits of rates, which all workers share.
#[derive(Debug)]
pub struct Limiter {
    address: Option<RateTable>,
    user: Option<RateTable>,
}

impl Limiter {
    /// Creates the limits of each address and of each user; `None` where there are none.
    #[must_use]
    pub fn new(
        address: Option<RateLimit>,
        user: Option<RateLimit>,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let table = |limit: Option<RateLimit>| Some(RateTable::new(limit?, entropy));
        let limiter = Self {
            address: table(address),
            user: table(user),
        };
        (limiter.address.is_some() || limiter.user.is_some()).then_some(limiter)
    }

    /// Returns whether addresses have a limit.
    #[must_use]
    pub fn limits_addresses(&self) -> bool {
        self.address.is_some()
    }

    /// Counts an arrival from `address` at `now_ns`, if the limit allows it.
    ///
    /// # Errors
    /// When it does not.
    pub fn arrive_from(&self, address: IpAddr, now_ns: u64) -> Result<(), LimitExceeded> {
        let network = Network::of(address);
        arrive(self.address.as_ref(), LimitedBy::Address, network, now_ns)
    }

    /// Counts an arrival of `user` at `now_ns`, if the limit allows it.
    ///
    /// # Errors
    /// When it does not.
    pub fn arrive_of(&self, user: &str, now_ns: u64) -> Result<(), LimitExceeded> {
        arrive(self.user.as_ref(), LimitedBy::User, user, now_ns)
    }
}

fn arrive(
    table: Option<&RateTable>,
    by: LimitedBy,
    client: impl Hash,
    now_ns: u64,
) -> Result<(), LimitExceeded> {
    let Some(table) = table else {
        return Ok(());
    };
    let counted = table.arrive(client, now_ns);
    counted.map_err(|wait_ns| LimitExceeded {
        by,
        limit: table.limit(),
        wait_ns,
    })
}
