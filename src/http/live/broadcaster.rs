//! The event streams of one worker: which channels are open, and who subscribes to them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};

use super::channel::{Channel, Subscriber};
use crate::limits::{STREAM_RETRY_MS_MAX, STREAM_RETRY_MS_MIN, STREAM_WOKEN_MAX};
use crate::live::{Feeds, Update};
use crate::operations::Observer;
use crate::sale::Sale;
use crate::telemetry::WorkerTelemetry;
use crate::types::SaleId;

/// The open channels of one worker, with a bounded number of subscribers.
pub(in crate::http) struct Broadcaster {
    feeds: Arc<Feeds>,
    telemetry: Arc<WorkerTelemetry>,
    subscribers_max: Cell<usize>,
    channels: RefCell<HashMap<Subject, Rc<Channel>>>,
    subscribers: Cell<usize>,
    /// Subscribers since the start.
    subscriptions: Cell<u64>,
}

/// The subject of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) enum Subject {
    Sale(SaleId),
    Server,
}

/// A subject, together with the source of its updates.
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

impl Broadcaster {
    /// Creates a broadcaster without channels, for at most `subscribers_max` subscribers.
    pub(in crate::http) fn new(
        feeds: Arc<Feeds>,
        telemetry: Arc<WorkerTelemetry>,
        subscribers_max: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            feeds,
            telemetry,
            subscribers_max: Cell::new(subscribers_max),
            channels: RefCell::default(),
            subscribers: Cell::new(0),
            subscriptions: Cell::new(0),
        })
    }

    /// Sets the highest number of subscribers. Those that are there stay.
    pub(in crate::http) fn set_subscribers_max(&self, subscribers_max: usize) {
        self.subscribers_max.set(subscribers_max);
    }

    /// Adds a subscriber of `topic`; `None` when there are too many. Must be called inside the worker's
    /// runtime.
    pub(in crate::http) fn subscribe(self: &Rc<Self>, topic: Topic<'_>) -> Option<Subscriber> {
        if self.subscribers.get() >= self.subscribers_max.get() {
            return None;
        }
        let mut channels = self.channels.borrow_mut();
        let channel = channels.entry(topic.subject());
        let channel = channel.or_insert_with(|| self.open(topic));
        let number = self.subscriptions.replace(self.subscriptions.get() + 1);
        self.subscribers.set(self.subscribers.get() + 1);
        if matches!(topic, Topic::Sale(_)) {
            self.telemetry.viewer_came();
        }
        let retry_ms = retry_ms(number);
        Some(Subscriber::new(
            Rc::clone(self),
            Rc::clone(channel),
            retry_ms,
        ))
    }

    fn open(&self, topic: Topic<'_>) -> Rc<Channel> {
        let updates = match topic {
            Topic::Sale(sale) => self.feeds.subscribe(sale),
            Topic::Server(observer) => observer.subscribe(),
        };
        Rc::new_cyclic(|channel| {
            let state = updates.borrow().clone();
            let relay = spawn_local(relay(updates, Weak::clone(channel)));
            Channel::new(topic.subject(), state, relay.abort_handle())
        })
    }

    /// Removes a subscriber of `channel`, and the channel with its last one.
    pub(in crate::http) fn unsubscribe(&self, channel: &Rc<Channel>) {
        self.subscribers.set(self.subscribers.get() - 1);
        if channel.subject() != Subject::Server {
            self.telemetry.viewer_left();
        }
        if channel.is_empty() {
            let mut channels = self.channels.borrow_mut();
            // The subject may have another channel by now.
            if channels
                .get(&channel.subject())
                .is_some_and(|open| Rc::ptr_eq(open, channel))
            {
                channels.remove(&channel.subject());
            }
        }
    }

    /// Ends all streams.
    pub(in crate::http) fn close_all(&self) {
        let channels: Vec<_> = self.channels.borrow().values().cloned().collect();
        channels.iter().for_each(|channel| channel.close());
    }
}

/// Passes updates on to the subscribers of `channel`, a bounded number at a time: each costs some microseconds
/// to send, and buyers must not wait for all of them.
async fn relay(mut updates: watch::Receiver<Update>, channel: Weak<Channel>) {
    while updates.changed().await.is_ok() {
        let update = updates.borrow_and_update().clone();
        let Some(channel) = channel.upgrade() else {
            return;
        };
        channel.publish(update);
        for first in (0..channel.slots()).step_by(STREAM_WOKEN_MAX) {
            channel.wake(first..first + STREAM_WOKEN_MAX);
            yield_now().await;
        }
    }
}

/// Returns after how many milliseconds the subscriber with this number reconnects when its connection is lost.
/// The golden ratio spreads consecutive numbers evenly.
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
    use crate::sale::test_engine::engine_with_a_sale;
    use crate::telemetry::TelemetryRegistry;

    fn update(number: u64, heartbeats: u64, is_last: bool) -> Update {
        Update {
            event: number.to_string().into(),
            number,
            heartbeats,
            is_last,
        }
    }

    /// Returns what `subscriber` would be sent now.
    fn poll(subscriber: &mut Subscriber) -> Poll<Option<Bytes>> {
        subscriber.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_subscriber_gets_only_the_newest_update() {
        let in_worker = async {
            let (engine, _, sale) = engine_with_a_sale();
            let telemetry = TelemetryRegistry::new().add_worker();
            let broadcaster = Broadcaster::new(Feeds::new(engine), telemetry, 1);
            let mut subscriber = broadcaster.subscribe(Topic::Sale(&sale)).expect("room");
            let channel = Rc::clone(&broadcaster.channels.borrow()[&Subject::Sale(sale.id())]);
            assert!(
                matches!(poll(&mut subscriber), Poll::Ready(Some(state)) if state.starts_with(b"retry: "))
            );
            assert_eq!(poll(&mut subscriber), Poll::Pending);
            (1..=3).for_each(|number| channel.publish(update(number, 0, false)));
            assert_eq!(poll(&mut subscriber), Poll::Ready(Some("3".into())));
            assert_eq!(poll(&mut subscriber), Poll::Pending);
            (1..=3).for_each(|heartbeats| channel.publish(update(3, heartbeats, false)));
            assert_eq!(poll(&mut subscriber), Poll::Ready(Some(":\n\n".into())));
            assert_eq!(poll(&mut subscriber), Poll::Pending);
            channel.publish(update(4, 3, true));
            assert_eq!(poll(&mut subscriber), Poll::Ready(Some("4".into())));
            assert_eq!(poll(&mut subscriber), Poll::Ready(None));
        };
        LocalSet::new().run_until(in_worker).await;
    }

    #[tokio::test]
    async fn subscribers_are_bounded_and_their_slots_are_reused() {
        let in_worker = async {
            let (engine, _, sale) = engine_with_a_sale();
            let registry = TelemetryRegistry::new();
            let broadcaster = Broadcaster::new(Feeds::new(engine), registry.add_worker(), 2);
            let (first, second) = (
                broadcaster.subscribe(Topic::Sale(&sale)),
                broadcaster.subscribe(Topic::Sale(&sale)),
            );
            assert!(first.is_some() && second.is_some());
            assert!(broadcaster.subscribe(Topic::Sale(&sale)).is_none());
            assert_eq!(registry.viewers(), 2);
            drop(first);
            assert!(broadcaster.subscribe(Topic::Sale(&sale)).is_some());
            assert_eq!(broadcaster.channels.borrow().len(), 1);
            drop(second);
            assert!(broadcaster.channels.borrow().is_empty(), "nobody is left");
            assert_eq!(registry.viewers(), 0);
        };
        LocalSet::new().run_until(in_worker).await;
    }

    #[tokio::test]
    async fn all_streams_can_be_closed() {
        let in_worker = async {
            let (engine, _, sale) = engine_with_a_sale();
            let broadcaster =
                Broadcaster::new(Feeds::new(engine), TelemetryRegistry::new().add_worker(), 1);
            let mut subscriber = broadcaster.subscribe(Topic::Sale(&sale)).expect("room");
            broadcaster.close_all();
            assert!(
                matches!(poll(&mut subscriber), Poll::Ready(Some(_))),
                "the state first"
            );
            assert_eq!(poll(&mut subscriber), Poll::Ready(None));
        };
        LocalSet::new().run_until(in_worker).await;
    }

    #[test]
    fn reconnects_are_spread_evenly() {
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
