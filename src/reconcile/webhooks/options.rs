//! The options of an endpoint.

use std::path::PathBuf;

use crate::env::Secret;
use crate::events::EventFilter;
use crate::types::{Lsn, WebhookUrl};

/// An endpoint that is told events.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Its number among the configured ones, from 1 on.
    pub number: usize,
    /// Where it is.
    pub url: WebhookUrl,
    /// What signs messages to it: one secret, or two with a space between them.
    pub secrets: Secret,
    /// The events that it is told.
    pub filter: EventFilter,
    /// Whether it may have an address of a private network, and need no TLS.
    pub allows_private: bool,
    /// The file of the authorities that may sign its certificate; `None` for those of the system.
    pub authorities: Option<PathBuf>,
    /// The record up to which other servers have told it everything, behind which it begins where its own place is not farther; 0 where that is
    /// not known: then it begins with the oldest record. `None` where there are no others: without a place it begins behind the newest one.
    pub begins_behind: Option<Lsn>,
}
