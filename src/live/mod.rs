//! What viewers of a sale are told: one event for all of them, computed once a tick.
//!
//! Each worker that has viewers of a sale holds one receiver of its feed, and passes on what comes to
//! its own viewers. So a tick costs one look at the sale and one wake-up a worker, however many watch.
//!
//! **Invariant.** A receiver holds the newest state and nothing else: whoever is slow misses what was
//! in between, and no queue grows.

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

/// The newest that there is to say about a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The sale's state, as one event of an event stream.
    pub event: Bytes,
    /// Which event it is: a new one has a new number.
    pub number: u64,
    /// How often there was nothing to say for so long that viewers should hear of it anyway.
    pub silences: u64,
    /// Nothing will come after it.
    pub is_last: bool,
}

/// What the feeds have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedFigures {
    /// Sales that are watched.
    pub feeds: usize,
    /// Ticks at which some sale was watched, since the start.
    pub ticks: u64,
    /// Looks at the figures of a sale since the start: one when a feed begins, and one a tick.
    pub computations: u64,
}

/// When a sale is looked at.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now: Timestamp,
    /// The monotonic clock, in microseconds.
    now_us: u64,
    /// The newest record that is on the disk.
    durable: Lsn,
}

/// The feeds of all sales that somebody watches.
pub struct Feeds {
    engine: Arc<Engine>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    feeds: HashMap<SaleId, SaleFeed>,
    figures: FeedFigures,
    stopped: bool,
}

impl Feeds {
    /// No feeds yet. They stand still unless a [`Ticker`] drives them.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            state: Mutex::default(),
            changed: Condvar::default(),
        })
    }

    /// The news of `sale` from now on, beginning with its state. The feed ends when the last receiver
    /// is dropped. A sale that is over has only its last news.
    #[must_use]
    pub fn watch(&self, sale: &Arc<Sale>) -> watch::Receiver<News> {
        let mut state = self.state.lock();
        if let Some(feed) = state.feeds.get(&sale.id()) {
            return feed.subscribe();
        }
        let feed = SaleFeed::new(Arc::clone(sale), self.moment());
        state.figures.computations += 1;
        let news = feed.subscribe();
        if !feed.has_ended() {
            state.feeds.insert(sale.id(), feed);
            if state.feeds.len() == 1 {
                self.changed.notify_all();
            }
        }
        news
    }

    /// What was done so far.
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
            durable: self.engine.journal().durable(),
        }
    }

    /// Looks once at every sale that is watched, and says what is new.
    fn tick(&self) {
        let moment = self.moment();
        let State { feeds, figures, .. } = &mut *self.state.lock();
        feeds.retain(|_, feed| feed.is_watched());
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
    use crate::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
    use crate::journal::{Durability, Opening, Options, Tools};
    use crate::limits::{STREAM_SILENCE_SECONDS, STREAM_TICK_MS};
    use crate::sale::{
        CheckoutOutcome, CheckoutRequest, EngineOptions, NewCatalogue, NewSale, Recovered,
    };
    use crate::types::{ItemId, UserId};

    /// An engine with one sale of ten items, from second 100 to 200, on a clock of its own.
    struct Scene {
        clock: Arc<ManualClock>,
        engine: Arc<Engine>,
        feeds: Arc<Feeds>,
        sale: Arc<Sale>,
    }

    impl Scene {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
            let disk = Arc::new(SimulatedDisk::new());
            let opening = Opening::lock(disk, "journal".as_ref()).expect("an empty disk");
            let recovered = Recovered::from_journal(&opening).expect("an empty journal");
            let options = Options {
                durability: Durability::Fsync,
                segment_bytes: 4 << 20,
            };
            let tools = Tools {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                entropy: Arc::new(OsEntropy),
                fail_stop: Box::new(|error| panic!("{error}")),
            };
            let journal = opening.start(&recovered.replayed, &options, tools);
            let engine = Arc::new(Engine::new(
                recovered.state,
                Arc::new(journal.expect("the disk works")),
                Arc::clone(&clock) as Arc<dyn Clock>,
                Arc::new(OsEntropy),
                EngineOptions::default(),
            ));
            let created = engine.create_sale(&NewSale {
                started_at: Timestamp::from_seconds(100),
                ended_at: Timestamp::from_seconds(200),
                max_items_per_user: 10,
                hold_seconds: 0,
                catalogue: NewCatalogue::Generated {
                    item_count: 10,
                    seed: 0,
                },
            });
            let sale = created.expect("a sale").outcome;
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

        /// Closes the sale, for good.
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

    fn text(news: &watch::Receiver<News>) -> String {
        String::from_utf8(news.borrow().event.to_vec()).expect("UTF-8")
    }

    #[test]
    fn many_receivers_cost_one_computation_a_tick() {
        let scene = Scene::new();
        let receivers: Vec<_> = (0..100).map(|_| scene.feeds.watch(&scene.sale)).collect();
        scene.sell(0);
        (0..3).for_each(|_| scene.tick());
        let expected = FeedFigures {
            feeds: 1,
            ticks: 3,
            computations: 4,
        };
        assert_eq!(scene.feeds.figures(), expected);
        for news in &receivers {
            assert!(text(news).contains("\"sold\":1,"), "{}", text(news));
        }
    }

    #[test]
    fn nothing_is_said_when_nothing_changed() {
        let scene = Scene::new();
        let mut news = scene.feeds.watch(&scene.sale);
        assert!(text(&news).contains("\"remaining\":10,\"sold\":0,\"held\":0,\"rate\":0.0,"));
        let ticks_of_silence = STREAM_SILENCE_SECONDS * 1000 / STREAM_TICK_MS;
        (1..ticks_of_silence).for_each(|_| scene.tick());
        assert!(!news.has_changed().expect("a feed"));
        scene.tick();
        assert!(news.has_changed().expect("a feed"));
        let heard = news.borrow_and_update().clone();
        assert_eq!((heard.number, heard.silences), (0, 1));
        scene.sell(0);
        scene.tick();
        let heard = news.borrow_and_update().clone();
        assert_eq!((heard.number, heard.silences), (1, 1));
    }

    #[test]
    fn a_feed_ends_with_its_last_receiver() {
        let scene = Scene::new();
        let (first, second) = (
            scene.feeds.watch(&scene.sale),
            scene.feeds.watch(&scene.sale),
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
    fn a_sale_that_is_closed_early_says_when() {
        let scene = Scene::new();
        let news = scene.feeds.watch(&scene.sale);
        scene.clock.advance_us(7_000_000);
        scene.close();
        scene.tick();
        let ended_at = "\"ended_at\":\"1970-01-01T00:01:47Z\"";
        assert!(text(&news).contains(ended_at), "{}", text(&news));
    }

    #[test]
    fn a_feed_ends_with_its_sale() {
        let scene = Scene::new();
        let mut news = scene.feeds.watch(&scene.sale);
        scene.sell(3);
        scene.clock.set(Timestamp::from_seconds(200));
        scene.feeds.tick();
        assert!(text(&news).contains("\"active\":false}"), "not closed yet");
        assert!(!news.borrow_and_update().is_last);
        scene.close();
        scene.tick();
        let closed = "event: closed\ndata: {\"sale_id\":\"1\",\"sold\":1,\"total\":10,\
                      \"ended_at\":\"1970-01-01T00:03:20Z\"}\n\n";
        assert_eq!(text(&news), closed);
        assert!(news.borrow().is_last);
        assert_eq!(scene.feeds.figures().feeds, 0);
        let late = scene.feeds.watch(&scene.sale);
        assert_eq!(
            (text(&late).as_str(), late.borrow().is_last),
            (closed, true)
        );
        assert_eq!(scene.feeds.figures().feeds, 0);
    }
}
