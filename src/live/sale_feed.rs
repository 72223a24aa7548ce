//! The feed of one sale.

use std::sync::Arc;

use tokio::sync::watch;

use super::rate::Rate;
use super::{Moment, News, event};
use crate::limits::STREAM_SILENCE_SECONDS;
use crate::sale::Sale;

/// What is said about one sale, and to whom.
pub(super) struct SaleFeed {
    sale: Arc<Sale>,
    news: watch::Sender<News>,
    rate: Rate,
    /// When something was said last.
    said_us: u64,
}

impl SaleFeed {
    /// Begins with the state of `sale`.
    pub(super) fn new(sale: Arc<Sale>, moment: Moment) -> Self {
        let mut rate = Rate::default();
        let (event, is_last) = event::of(&sale, moment, &mut rate);
        let news = News {
            event: event.into(),
            number: 0,
            silences: 0,
            is_last,
        };
        Self {
            sale,
            news: watch::Sender::new(news),
            rate,
            said_us: moment.now_us,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.news.receiver_count() > 0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.news.borrow().is_last
    }

    /// Looks at the sale, and says what is new; or, after a long silence, that there is nothing new.
    pub(super) fn tick(&mut self, moment: Moment) {
        let (event, is_last) = event::of(&self.sale, moment, &mut self.rate);
        let silent_us = moment.now_us.saturating_sub(self.said_us);
        let said = self.news.send_if_modified(|news| {
            if news.event != event {
                news.event = event.into();
                news.number += 1;
                news.is_last = is_last;
            } else if silent_us >= STREAM_SILENCE_SECONDS * 1_000_000 {
                news.silences += 1;
            } else {
                return false;
            }
            true
        });
        if said {
            self.said_us = moment.now_us;
        }
    }
}
