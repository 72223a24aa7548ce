//! A sale, or the server, as one worker's viewers see it.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::Bytes;
use slab::Slab;
use tokio::task::AbortHandle;

use super::audience::{Audience, Subject};
use crate::live::News;

/// A comment: viewers ignore it, and proxies see that the connection lives.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Tells those who watch the server that its end is intended.
const DRAINING: Bytes = Bytes::from_static(b"event: draining\ndata: {}\n\n");

/// The newest state of a sale, and the tasks of those who watch it.
#[derive(Debug)]
pub(in crate::http) struct Stage {
    subject: Subject,
    news: RefCell<News>,
    viewers: RefCell<Slab<Option<Waker>>>,
    /// Nothing will be shown any more.
    over: Cell<bool>,
    /// What brings the news; it stops when there is nobody left to bring them to.
    relay: AbortHandle,
}

impl Stage {
    /// A stage without viewers that `relay` brings the news to, behind what is known.
    pub(in crate::http) fn new(subject: Subject, news: News, relay: AbortHandle) -> Self {
        Self {
            subject,
            over: Cell::new(news.is_last),
            news: RefCell::new(news),
            viewers: RefCell::default(),
            relay,
        }
    }

    pub(in crate::http) fn subject(&self) -> Subject {
        self.subject
    }

    /// Has `news` for whoever looks from now on. Nothing follows the last ones.
    pub(in crate::http) fn show(&self, news: News) {
        if !self.over.get() {
            self.over.set(news.is_last);
            self.news.replace(news);
        }
    }

    /// Ends all streams, behind what is shown now; those who watch the server are told why.
    pub(in crate::http) fn end(&self) {
        if self.subject == Subject::Server {
            let number = self.news.borrow().number + 1;
            self.show(News {
                event: DRAINING,
                number,
                ..News::default()
            });
        }
        self.over.set(true);
        self.wake(0..self.places());
    }

    /// One more than the last place that a viewer may have.
    pub(in crate::http) fn places(&self) -> usize {
        self.viewers.borrow().capacity()
    }

    /// Wakes the viewers at these places.
    pub(in crate::http) fn wake(&self, places: Range<usize>) {
        let viewers = self.viewers.borrow();
        let wakers = places.filter_map(|place| viewers.get(place)?.as_ref());
        wakers.for_each(Waker::wake_by_ref);
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.viewers.borrow().is_empty()
    }

    fn wake_later(&self, place: usize, waker: &Waker) {
        if let Some(known) = self.viewers.borrow_mut().get_mut(place) {
            match known {
                Some(known) => known.clone_from(waker),
                None => *known = Some(waker.clone()),
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Somebody who watches a sale: each look gives what is newer than the look before.
pub struct Viewer {
    audience: Rc<Audience>,
    stage: Rc<Stage>,
    place: usize,
    /// After how long they are to come again when the connection is lost, until they were told.
    retry_ms: Option<u64>,
    event_seen: u64,
    silences_heard: u64,
}

impl Viewer {
    pub(in crate::http) fn new(audience: Rc<Audience>, stage: Rc<Stage>, retry_ms: u64) -> Self {
        let place = stage.viewers.borrow_mut().insert(None);
        Self {
            audience,
            stage,
            place,
            retry_ms: Some(retry_ms),
            event_seen: 0,
            silences_heard: 0,
        }
    }

    /// What comes next on the stream: the state at once, and then each time the newest. `None` at the
    /// end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let news = self.stage.news.borrow();
        let retry_ms = self.retry_ms.take();
        if retry_ms.is_some() || self.event_seen != news.number {
            (self.event_seen, self.silences_heard) = (news.number, news.silences);
            return Poll::Ready(Some(match retry_ms {
                Some(retry_ms) => greeting(retry_ms, &news.event),
                None => news.event.clone(),
            }));
        }
        if self.stage.over.get() {
            return Poll::Ready(None);
        }
        if self.silences_heard != news.silences {
            self.silences_heard = news.silences;
            return Poll::Ready(Some(COMMENT));
        }
        self.stage.wake_later(self.place, cx.waker());
        Poll::Pending
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stage.viewers.borrow_mut().remove(self.place);
        self.audience.leave(&self.stage);
    }
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Viewer of {:?}", self.stage.subject)
    }
}

fn greeting(retry_ms: u64, event: &[u8]) -> Bytes {
    let mut greeting = format!("retry: {retry_ms}\n\n").into_bytes();
    greeting.extend_from_slice(event);
    greeting.into()
}
