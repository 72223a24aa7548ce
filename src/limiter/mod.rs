//! Who is limited: the address of a client, as trusted proxies name it.

pub mod forwarding;
