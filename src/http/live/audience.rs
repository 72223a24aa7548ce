//! Those who watch sales, or the server itself, over the connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};

use super::stage::{Stage, Viewer};
use crate::limits::{STREAM_RETRY_MS_MAX, STREAM_RETRY_MS_MIN, STREAM_WOKEN_MAX};
use crate::live::{Feeds, News};
use crate::operations::Observer;
use crate::sale::Sale;
use crate::telemetry::WorkerTelemetry;
use crate::types::SaleId;

/// The stages of the sales that this worker's viewers watch.
pub(in crate::http) struct Audience {
    feeds: Arc<Feeds>,
    telemetry: Arc<WorkerTelemetry>,
    viewers_max: Cell<usize>,
    stages: RefCell<HashMap<Subject, Rc<Stage>>>,
    present: Cell<usize>,
    /// Viewers who ever came.
    came: Cell<u64>,
}

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) enum Subject {
    Sale(SaleId),
    Server,
}

/// What somebody comes to watch, and who has the news of it.
#[derive(Clone, Copy)]
pub(in crate::http) enum Topic<'a> {
    Sale(&'a Arc<Sale>),
    Server(&'a Observer),
}

impl Topic<'_> {
    fn subject(self) -> Subject {
        match self {
            Self::Sale(sale) => Subject::Sale(sale.id()),
            Self::Server(_) => Subject::Server,
        }
    }
}

impl Audience {
    /// Takes at most so many from now on.
    pub(in crate::http) fn limit(&self, viewers_max: usize) {
        self.viewers_max.set(viewers_max);
    }

    /// An audience of at most `viewers_max`.
    pub(in crate::http) fn new(
        feeds: Arc<Feeds>,
        telemetry: Arc<WorkerTelemetry>,
        viewers_max: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            feeds,
            telemetry,
            viewers_max: Cell::new(viewers_max),
            stages: RefCell::default(),
            present: Cell::new(0),
            came: Cell::new(0),
        })
    }

    /// Takes in one more viewer, unless there are too many. Called inside the worker's runtime.
    pub(in crate::http) fn admit(self: &Rc<Self>, topic: Topic<'_>) -> Option<Viewer> {
        if self.present.get() >= self.viewers_max.get() {
            return None;
        }
        let mut stages = self.stages.borrow_mut();
        let stage = stages.entry(topic.subject());
        let stage = stage.or_insert_with(|| self.open(topic));
        let number = self.came.replace(self.came.get() + 1);
        self.present.set(self.present.get() + 1);
        if matches!(topic, Topic::Sale(_)) {
            self.telemetry.viewer_came();
        }
        let viewer = Viewer::new(Rc::clone(self), Rc::clone(stage), retry_ms(number));
        Some(viewer)
    }

    fn open(&self, topic: Topic<'_>) -> Rc<Stage> {
        let news = match topic {
            Topic::Sale(sale) => self.feeds.watch(sale),
            Topic::Server(observer) => observer.watch(),
        };
        Rc::new_cyclic(|stage| {
            let state = news.borrow().clone();
            let relay = spawn_local(relay(news, Weak::clone(stage)));
            Stage::new(topic.subject(), state, relay.abort_handle())
        })
    }

    /// A viewer of `stage` has left.
    pub(in crate::http) fn leave(&self, stage: &Rc<Stage>) {
        self.present.set(self.present.get() - 1);
        if stage.subject() != Subject::Server {
            self.telemetry.viewer_left();
        }
        if stage.is_empty() {
            let mut stages = self.stages.borrow_mut();
            // Unless it has another one by now.
            if stages
                .get(&stage.subject())
                .is_some_and(|present| Rc::ptr_eq(present, stage))
            {
                stages.remove(&stage.subject());
            }
        }
    }

    /// Ends all streams.
    pub(in crate::http) fn send_home(&self) {
        let stages: Vec<_> = self.stages.borrow().values().cloned().collect();
        stages.iter().for_each(|stage| stage.end());
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
    use std::task::{Context, Poll, Waker};

    use hyper::body::Bytes;
    use tokio::task::LocalSet;

    use super::*;
    use crate::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
    use crate::journal::{Durability, Opening, Options, Tools};
    use crate::sale::{Engine, EngineOptions, NewCatalogue, NewSale, Recovered};
    use crate::telemetry::Registry;
    use crate::types::Timestamp;

    /// An engine on a disk in memory, with a sale.
    fn engine() -> (Arc<Engine>, Arc<Sale>) {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let opening = Opening::lock(Arc::new(SimulatedDisk::new()), "journal".as_ref());
        let opening = opening.expect("an empty disk");
        let recovered = Recovered::from_journal(&opening).expect("an empty journal");
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 4 << 20,
        };
        let tools = Tools {
            clock: Arc::clone(&clock),
            entropy: Arc::new(OsEntropy),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let journal = opening.start(&recovered.replayed, &options, tools);
        let engine = Arc::new(Engine::new(
            recovered.state,
            Arc::new(journal.expect("the disk works")),
            clock,
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
        (engine, created.expect("a sale").outcome)
    }

    fn news(number: u64, silences: u64, is_last: bool) -> News {
        News {
            event: number.to_string().into(),
            number,
            silences,
            is_last,
        }
    }

    /// What `viewer` would be sent now.
    fn look(viewer: &mut Viewer) -> Poll<Option<Bytes>> {
        viewer.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_viewer_sees_the_newest_only() {
        let in_worker = async {
            let (engine, sale) = engine();
            let telemetry = Registry::new().add_worker();
            let audience = Audience::new(Feeds::new(engine), telemetry, 1);
            let mut viewer = audience.admit(Topic::Sale(&sale)).expect("room");
            let stage = Rc::clone(&audience.stages.borrow()[&Subject::Sale(sale.id())]);
            assert!(
                matches!(look(&mut viewer), Poll::Ready(Some(state)) if state.starts_with(b"retry: "))
            );
            assert_eq!(look(&mut viewer), Poll::Pending);
            (1..=3).for_each(|number| stage.show(news(number, 0, false)));
            assert_eq!(look(&mut viewer), Poll::Ready(Some("3".into())));
            assert_eq!(look(&mut viewer), Poll::Pending);
            (1..=3).for_each(|silences| stage.show(news(3, silences, false)));
            assert_eq!(look(&mut viewer), Poll::Ready(Some(":\n\n".into())));
            assert_eq!(look(&mut viewer), Poll::Pending);
            stage.show(news(4, 3, true));
            assert_eq!(look(&mut viewer), Poll::Ready(Some("4".into())));
            assert_eq!(look(&mut viewer), Poll::Ready(None));
        };
        LocalSet::new().run_until(in_worker).await;
    }

    #[tokio::test]
    async fn viewers_are_bounded_and_their_places_are_given_again() {
        let in_worker = async {
            let (engine, sale) = engine();
            let registry = Registry::new();
            let audience = Audience::new(Feeds::new(engine), registry.add_worker(), 2);
            let (first, second) = (
                audience.admit(Topic::Sale(&sale)),
                audience.admit(Topic::Sale(&sale)),
            );
            assert!(first.is_some() && second.is_some());
            assert!(audience.admit(Topic::Sale(&sale)).is_none());
            assert_eq!(registry.viewers(), 2);
            drop(first);
            assert!(audience.admit(Topic::Sale(&sale)).is_some());
            assert_eq!(audience.stages.borrow().len(), 1);
            drop(second);
            assert!(audience.stages.borrow().is_empty(), "nobody is left");
            assert_eq!(registry.viewers(), 0);
        };
        LocalSet::new().run_until(in_worker).await;
    }

    #[tokio::test]
    async fn everybody_can_be_sent_home() {
        let in_worker = async {
            let (engine, sale) = engine();
            let audience = Audience::new(Feeds::new(engine), Registry::new().add_worker(), 1);
            let mut viewer = audience.admit(Topic::Sale(&sale)).expect("room");
            audience.send_home();
            assert!(
                matches!(look(&mut viewer), Poll::Ready(Some(_))),
                "the state first"
            );
            assert_eq!(look(&mut viewer), Poll::Ready(None));
        };
        LocalSet::new().run_until(in_worker).await;
    }

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
