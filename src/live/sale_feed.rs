//! The feed of one sale.

use std::sync::Arc;

use tokio::sync::watch;

use super::rate::Rate;
use super::{Moment, Update, event};
use crate::limits::STREAM_SILENCE_SECONDS;
use crate::sale::Sale;

/// Publishes the state of one sale to the receivers of its feed.
pub(super) struct SaleFeed {
    sale: Arc<Sale>,
    updates: watch::Sender<Update>,
    rate: Rate,
    /// The moment of the last update.
    published_us: u64,
}

impl SaleFeed {
    /// Creates a feed that begins with the state of `sale`.
    pub(super) fn new(sale: Arc<Sale>, moment: Moment) -> Self {
        let mut rate = Rate::default();
        let (event, is_last) = event::of(&sale, moment, &mut rate);
        let state = Update {
            event: event.into(),
            number: 0,
            heartbeats: 0,
            is_last,
        };
        Self {
            sale,
            updates: watch::Sender::new(state),
            rate,
            published_us: moment.now_us,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Update> {
        self.updates.subscribe()
    }

    pub(super) fn has_subscribers(&self) -> bool {
        self.updates.receiver_count() > 0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.updates.borrow().is_last
    }

    /// Publishes the state of the sale if it has changed, and a heartbeat if it has not for
    /// [`STREAM_SILENCE_SECONDS`].
    pub(super) fn tick(&mut self, moment: Moment) {
        let (event, is_last) = event::of(&self.sale, moment, &mut self.rate);
        let silent_us = moment.now_us.saturating_sub(self.published_us);
        let is_published = self.updates.send_if_modified(|update| {
            if update.event != event {
                update.event = event.into();
                update.number += 1;
                update.is_last = is_last;
            } else if silent_us >= STREAM_SILENCE_SECONDS * 1_000_000 {
                update.heartbeats += 1;
            } else {
                return false;
            }
            true
        });
        if is_published {
            self.published_us = moment.now_us;
        }
    }
}
