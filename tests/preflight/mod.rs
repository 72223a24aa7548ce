//! `flashsale preflight`: the real binary, good and bad machines, a real Postgres, a real Redis.

mod addresses;
mod machine;
mod report;
mod restored;
mod sinks;
