//! Those who watch sales over the connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};

use super::stage::{Stage, Viewer};
use crate::limits::{STREAM_RETRY_MS_MAX, STREAM_RETRY_MS_MIN, STREAM_WOKEN_MAX};
use crate::sale::Sale;
use crate::schedule::feed::{FeedFigures, Feeds, News};
use crate::telemetry::WorkerTelemetry;
use crate::types::SaleId;

/// The stages of the sales that this worker's viewers watch.
pub(super) struct Audience {
    feeds: Arc<Feeds>,
    telemetry: Arc<WorkerTelemetry>,
    stages: RefCell<HashMap<SaleId, Rc<Stage>>>,
    /// Viewers who ever came.
    came: Cell<u64>,
}

impl Audience {
    pub(super) fn new(feeds: Arc<Feeds>, telemetry: Arc<WorkerTelemetry>) -> Rc<Self> {
        Rc::new(Self {
            feeds,
            telemetry,
            stages: RefCell::default(),
            came: Cell::new(0),
        })
    }

    /// Takes in one more viewer of `sale`. Called inside the worker's runtime.
    pub(super) fn admit(self: &Rc<Self>, sale: &Arc<Sale>) -> Viewer {
        let mut stages = self.stages.borrow_mut();
        let stage = stages.entry(sale.id()).or_insert_with(|| self.open(sale));
        let number = self.came.replace(self.came.get() + 1);
        self.telemetry.viewer_came();
        Viewer::new(Rc::clone(self), Rc::clone(stage), retry_ms(number))
    }

    fn open(&self, sale: &Arc<Sale>) -> Rc<Stage> {
        let news = self.feeds.watch(sale);
        let stage = Rc::new(Stage::new(sale.id(), news.borrow().clone()));
        let relay = spawn_local(relay(news, Rc::downgrade(&stage)));
        stage.set_relay(relay.abort_handle());
        stage
    }

    /// A viewer of `stage` has left.
    pub(super) fn leave(&self, stage: &Rc<Stage>) {
        self.telemetry.viewer_left();
        if stage.is_empty() {
            let mut stages = self.stages.borrow_mut();
            // Unless it has another one by now.
            if stages
                .get(&stage.sale())
                .is_some_and(|present| Rc::ptr_eq(present, stage))
            {
                stages.remove(&stage.sale());
            }
        }
    }

    /// Ends all streams.
    pub(super) fn send_home(&self) {
        let stages: Vec<_> = self.stages.borrow().values().cloned().collect();
        stages.iter().for_each(|stage| stage.end());
    }

    pub(super) fn feed_figures(&self) -> FeedFigures {
        self.feeds.figures()
    }
}

/// Passes the news on to the viewers of this worker, some at a time: sending them costs some microseconds
/// each, and buyers who come in between should not wait for all of it.
async fn relay(mut news: watch::Receiver<News>, stage: Weak<Stage>) {
    while news.changed().await.is_ok() {
        let heard = news.borrow_and_update().clone();
        let Some(stage) = stage.upgrade() else { return };
        stage.show(heard);
        for first in (0..stage.places()).step_by(STREAM_WOKEN_MAX) {
            stage.wake(first..first + STREAM_WOKEN_MAX);
            yield_now().await;
        }
    }
}

/// When the viewer with this number comes again after its connection was lost, in milliseconds. Numbers
/// in a row are spread evenly, by the golden ratio.
fn retry_ms(number: u64) -> u64 {
    let fraction = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let span_ms = STREAM_RETRY_MS_MAX - STREAM_RETRY_MS_MIN;
    STREAM_RETRY_MS_MIN + ((span_ms * fraction) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_come_again_one_after_the_other() {
        let span_ms = STREAM_RETRY_MS_MAX - STREAM_RETRY_MS_MIN;
        let mut tenths = [0; 10];
        for number in 0..1000 {
            let after_ms = retry_ms(number) - STREAM_RETRY_MS_MIN;
            tenths[(after_ms * 10 / span_ms) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (95..=105).contains(count)),
            "{tenths:?}"
        );
    }
}
