//! Feeds: the states of sales for their subscribers, computed once a tick.
//!
//! Each worker that has subscribers of a sale holds one receiver of its feed, and passes updates on to its own
//! subscribers. So a tick costs one computation a sale and one wake-up a worker, however many clients follow.
//!
//! **Invariant.** A receiver holds the newest state and nothing else: a slow client misses what was in between, and
//! no queue grows.

mod event;
mod rate;
mod sale_feed;
mod ticker;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

pub use self::rate::Rate;
use self::sale_feed::SaleFeed;
pub use self::ticker::Ticker;
use crate::sale::{Engine, Sale};
use crate::sync::{Condvar, Mutex};
use crate::types::{Lsn, SaleId, Timestamp};

/// The newest state of a subject, as its subscribers receive it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The state, as one event of an event stream.
    pub event: Bytes,
    /// The number of the event: each new event has a new one.
    pub number: u64,
    /// Heartbeats since the start: each follows a time in which the state did not change.
    pub heartbeats: u64,
    /// No update follows.
    pub is_last: bool,
}

/// Figures about the work of the feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedFigures {
    /// Sales with subscribers.
    pub feeds: usize,
    /// Ticks with at least one feed, since the start.
    pub ticks: u64,
    /// Computed states of sales since the start: one when a feed begins, and one a tick.
    pub computations: u64,
}

/// The moment for which states are computed.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now: Timestamp,
    /// The monotonic clock, in microseconds.
    now_us: u64,
    /// The newest durable record.
    durable: Lsn,
}

/// The feeds of all sales that have subscribers.
pub struct Feeds {
    engine: Arc<Engine>,
    state: Mutex<FeedState>,
    changed: Condvar,
}

#[derive(Default)]
struct FeedState {
    feeds: HashMap<SaleId, SaleFeed>,
    figures: FeedFigures,
    stopped: bool,
}

impl Feeds {
    /// Creates an empty set of feeds. A [`Ticker`] must drive it.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            state: Mutex::default(),
            changed: Condvar::default(),
        })
    }

    /// Subscribes to `sale`, beginning with its state. The feed ends when the last receiver is dropped. A closed
    /// sale has only its last update.
    #[must_use]
    pub fn subscribe(&self, sale: &Arc<Sale>) -> watch::Receiver<Update> {
        let mut state = self.state.lock();
        if let Some(feed) = state.feeds.get(&sale.id()) {
            return feed.subscribe();
        }
        let feed = SaleFeed::new(Arc::clone(sale), self.moment());
        state.figures.computations += 1;
        let updates = feed.subscribe();
        if !feed.has_ended() {
            state.feeds.insert(sale.id(), feed);
            if state.feeds.len() == 1 {
                self.changed.notify_all();
            }
        }
        updates
    }

    /// Returns the figures of now.
    #[must_use]
    pub fn figures(&self) -> FeedFigures {
        let state = self.state.lock();
        FeedFigures {
            feeds: state.feeds.len(),
            ..state.figures
        }
    }

    fn moment(&self) -> Moment {
        let clock = self.engine.clock();
        Moment {
            now: clock.now(),
            now_us: clock.monotonic_us(),
            durable: self.engine.durable_lsn(),
        }
    }

    /// Computes the state of every sale that has subscribers, and publishes those that have changed. The [`Ticker`] calls
    /// this.
    pub fn tick(&self) {
        let moment = self.moment();
        let FeedState { feeds, figures, .. } = &mut *self.state.lock();
        feeds.retain(|_, feed| feed.has_subscribers());
        figures.ticks += u64::from(!feeds.is_empty());
        figures.computations += feeds.len() as u64;
        feeds.values_mut().for_each(|feed| feed.tick(moment));
        feeds.retain(|_, feed| !feed.has_ended());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::ManualClock;
    use crate::limits::{STREAM_SILENCE_SECONDS, STREAM_TICK_MS};
    use crate::sale::test_engine::engine_with_a_sale;
    use crate::sale::{CheckoutOutcome, CheckoutRequest};
    use crate::types::{ItemId, UserId};

    /// An engine with one sale of ten items, from second 100 to 200, on a manual clock.
    struct Scene {
        clock: Arc<ManualClock>,
        engine: Arc<Engine>,
        feeds: Arc<Feeds>,
        sale: Arc<Sale>,
    }

    impl Scene {
        fn new() -> Self {
            let (engine, clock, sale) = engine_with_a_sale();
            Self {
                clock,
                feeds: Feeds::new(Arc::clone(&engine)),
                engine,
                sale,
            }
        }

        fn tick(&self) {
            self.clock.advance_us(STREAM_TICK_MS as i64 * 1000);
            self.feeds.tick();
        }

        /// Closes the sale, and waits until that is durable.
        fn close(&self) {
            let closed = self.engine.close_sale(self.sale.id()).expect("a sale");
            let journal = self.engine.journal();
            journal
                .wait(closed.expect("an open sale"))
                .expect("the disk works");
        }

        fn sell(&self, item: u32) {
            let decision = self.engine.checkout(&CheckoutRequest {
                user: UserId::new("ada").expect("an id"),
                item: ItemId::new(&format!("ITM-1-{item}")).expect("an id"),
                quantity: 1,
                sale: None,
                key: None,
            });
            let CheckoutOutcome::Accepted { code, .. } = decision.outcome else {
                panic!("{:?}", decision.outcome)
            };
            let _ = self.engine.purchase(code, None);
        }
    }

    fn text(updates: &watch::Receiver<Update>) -> String {
        String::from_utf8(updates.borrow().event.to_vec()).expect("UTF-8")
    }

    #[test]
    fn many_receivers_cost_one_computation_a_tick() {
        let scene = Scene::new();
        let receivers: Vec<_> = (0..100)
            .map(|_| scene.feeds.subscribe(&scene.sale))
            .collect();
        scene.sell(0);
        (0..3).for_each(|_| scene.tick());
        let expected = FeedFigures {
            feeds: 1,
            ticks: 3,
            computations: 4,
        };
        assert_eq!(scene.feeds.figures(), expected);
        for updates in &receivers {
            assert!(text(updates).contains("\"sold\":1,"), "{}", text(updates));
        }
    }

    #[test]
    fn a_state_that_does_not_change_is_not_published() {
        let scene = Scene::new();
        let mut updates = scene.feeds.subscribe(&scene.sale);
        assert!(text(&updates).contains("\"remaining\":10,\"sold\":0,\"held\":0,\"rate\":0.0,"));
        let ticks_between_heartbeats = STREAM_SILENCE_SECONDS * 1000 / STREAM_TICK_MS;
        (1..ticks_between_heartbeats).for_each(|_| scene.tick());
        assert!(!updates.has_changed().expect("a feed"));
        scene.tick();
        assert!(updates.has_changed().expect("a feed"));
        let update = updates.borrow_and_update().clone();
        assert_eq!((update.number, update.heartbeats), (0, 1));
        scene.sell(0);
        scene.tick();
        let update = updates.borrow_and_update().clone();
        assert_eq!((update.number, update.heartbeats), (1, 1));
    }

    #[test]
    fn a_feed_ends_with_its_last_receiver() {
        let scene = Scene::new();
        let (first, second) = (
            scene.feeds.subscribe(&scene.sale),
            scene.feeds.subscribe(&scene.sale),
        );
        drop(first);
        scene.tick();
        assert_eq!(scene.feeds.figures().feeds, 1);
        drop(second);
        scene.tick();
        let expected = FeedFigures {
            feeds: 0,
            ticks: 1,
            computations: 2,
        };
        assert_eq!(scene.feeds.figures(), expected);
    }

    #[test]
    fn a_sale_that_is_closed_early_shows_its_end() {
        let scene = Scene::new();
        let updates = scene.feeds.subscribe(&scene.sale);
        scene.clock.advance_us(7_000_000);
        scene.close();
        scene.tick();
        let ended_at = "\"ended_at\":\"1970-01-01T00:01:47Z\"";
        assert!(text(&updates).contains(ended_at), "{}", text(&updates));
    }

    #[test]
    fn a_feed_ends_with_its_sale() {
        let scene = Scene::new();
        let mut updates = scene.feeds.subscribe(&scene.sale);
        scene.sell(3);
        scene.clock.set(Timestamp::from_seconds(200));
        scene.feeds.tick();
        assert!(
            text(&updates).contains("\"active\":false}"),
            "not closed yet"
        );
        assert!(!updates.borrow_and_update().is_last);
        scene.close();
        scene.tick();
        let closed = "event: closed\ndata: {\"sale_id\":\"1\",\"sold\":1,\"total\":10,\
                      \"ended_at\":\"1970-01-01T00:03:20Z\"}\n\n";
        assert_eq!(text(&updates), closed);
        assert!(updates.borrow().is_last);
        assert_eq!(scene.feeds.figures().feeds, 0);
        let late = scene.feeds.subscribe(&scene.sale);
        assert_eq!(
            (text(&late).as_str(), late.borrow().is_last),
            (closed, true)
        );
        assert_eq!(scene.feeds.figures().feeds, 0);
    }
}
