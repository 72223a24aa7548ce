//! Server-Sent Events: the states of a sale, or of the server, as they change.

pub(super) mod broadcaster;
pub(super) mod channel;
pub(super) mod stream;
