//! Followers against a sink whose every failure is scripted: whatever it does, it ends up with each
//! record once, in order.

mod fake;
mod fixture;
mod following;
mod losing;
