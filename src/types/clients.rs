//! Clients: where they are, and how often they may ask.

mod client_address;
mod network;
mod rate_limit;

pub use self::client_address::{AddressSource, ClientAddress};
pub use self::network::{Cidr, Network};
pub use self::rate_limit::{LimitedBy, RateLimit};
