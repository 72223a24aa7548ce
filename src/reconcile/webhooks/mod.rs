//! Webhooks: endpoints of the shop that are told events, one message after the other.
//!
//! Each endpoint is a [`Sink`](super::Sink) with a follower of its own. Its watermark is a place in a file beside the journal, which
//! moves when the endpoint has answered 2xx: whatever dies when, it gets every event once or more, in order. Messages are signed
//! as Standard Webhooks say.
//!
//! **Invariants.** Nothing is sent to an address of a private network that was not allowed, wherever a name leads. Redirects are not
//! followed. What is behind the host of an address, and secrets, are in no log and no answer.

mod addresses;
mod batch;
mod client;
mod kept;
mod options;
mod place;
mod retry;
mod signature;
mod sink;

pub use batch::WebhookBatch;
pub use kept::KeptForWebhook;
pub use options::WebhookOptions;
pub use sink::{WebhookParts, WebhookSink};
