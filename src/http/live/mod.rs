//! Server-Sent Events: what viewers of a sale, and of the server, are told as it changes.

pub(super) mod audience;
pub(super) mod stage;
pub(super) mod stream;
