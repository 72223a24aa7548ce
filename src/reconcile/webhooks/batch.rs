//! A message on its way to an endpoint.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::options::WebhookOptions;
use crate::events::{EventWriter, Unwritten};
use crate::limits::{WEBHOOK_BYTES_MAX, WEBHOOK_EVENTS_MAX};
use crate::reconcile::SinkBatch;
use crate::record::{Entry, Undecodable};
use crate::types::Lsn;

/// The events of one message, as a batch of CloudEvents.
pub struct WebhookBatch {
    writer: Rc<RefCell<EventWriter>>,
    options: Arc<WebhookOptions>,
    body: Vec<u8>,
    events: usize,
    first: Lsn,
    last: Lsn,
}

impl WebhookBatch {
    pub(super) fn new(writer: Rc<RefCell<EventWriter>>, options: Arc<WebhookOptions>) -> Self {
        Self {
            writer,
            options,
            body: vec![b'['],
            events: 0,
            first: Lsn::ZERO,
            last: Lsn::ZERO,
        }
    }

    pub(super) fn has_events(&self) -> bool {
        self.events > 0
    }

    /// Returns the name of the message: the same one where the same events are sent again.
    pub(super) fn message_id(&self, source: &str) -> String {
        let source = source.rsplit('/').next().unwrap_or_default();
        format!("evt_{source}_{}_{}", self.first, self.last)
    }

    pub(super) fn into_body(mut self) -> Vec<u8> {
        self.body.push(b']');
        self.body
    }
}

impl SinkBatch for WebhookBatch {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        if self.events >= WEBHOOK_EVENTS_MAX || self.body.len() >= WEBHOOK_BYTES_MAX {
            return Ok(false);
        }
        let is_first = self.events == 0;
        let begin = |out: &mut Vec<u8>| {
            if !is_first {
                out.push(b',');
            }
        };
        let mut writer = self.writer.borrow_mut();
        match writer.write(entry, &self.options.filter, &mut self.body, begin) {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.events += 1;
                self.last = entry.lsn;
                if is_first {
                    self.first = entry.lsn;
                }
            }
            // It comes first in the next message, once its sale can be read.
            Err(Unwritten::Sale(_)) => return Ok(false),
            Err(Unwritten::Undecodable(error)) => return Err(error),
        }
        Ok(true)
    }
}
