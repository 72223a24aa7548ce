//! Queries of the server's figures that wait for the observer, coalesced: equal queries are answered by one
//! computation.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::limits::CUSTOM_QUERIES_MAX;

/// The subject of a query. Queries with equal subjects share one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// One of the few queries that every client sends: what it asks for, and which kind of it. The coalescer always
    /// has room for these.
    Common(&'static str, &'static str),
    /// One of arbitrarily many queries, of which a bounded number waits.
    Custom(String),
}

/// An answer in pieces that all clients share; `None` when the figures cannot be serialized.
pub type SharedBody = Option<Vec<Bytes>>;

/// Too many queries wait for their answers, or the observer has stopped, or did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many queries of the server's figures are waiting")]
pub struct Busy;

/// Computes an answer from a view.
type Computation<V> = Box<dyn FnOnce(&V) -> SharedBody + Send>;

/// The queue of queries of a `V`. A query that equals a waiting one joins it: the answer is computed after both
/// were submitted, and once for both.
pub(super) struct RequestCoalescer<V> {
    waiting: Mutex<WaitingQueries<V>>,
    changed: Condvar,
}

struct WaitingQueries<V> {
    queries: Vec<PendingQuery<V>>,
    closed: bool,
}

/// A query with the clients that wait for its answer.
pub(super) struct PendingQuery<V> {
    query: Query,
    computation: Computation<V>,
    clients: Vec<oneshot::Sender<SharedBody>>,
}

impl<V> Default for RequestCoalescer<V> {
    fn default() -> Self {
        let waiting = WaitingQueries {
            queries: Vec::new(),
            closed: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }
}

impl<V> RequestCoalescer<V> {
    /// Adds a query, which `computation` answers.
    ///
    /// # Errors
    /// Too many other queries wait, or the coalescer is closed.
    pub(super) fn submit(
        &self,
        query: Query,
        computation: impl FnOnce(&V) -> SharedBody + Send + 'static,
    ) -> Result<oneshot::Receiver<SharedBody>, Busy> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let same = |pending: &&mut PendingQuery<V>| pending.query == query;
        if let Some(pending) = waiting.queries.iter_mut().find(same) {
            // Clients that gave up make room, so that the list never outgrows the open requests.
            if pending.clients.len() == pending.clients.capacity() {
                pending.clients.retain(|client| !client.is_closed());
            }
            pending.clients.push(sender);
            return Ok(receiver);
        }
        if waiting.closed || !waiting.has_room_for(&query) {
            return Err(Busy);
        }
        waiting.queries.push(PendingQuery {
            query,
            computation: Box::new(computation),
            clients: vec![sender],
        });
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Waits until a query is there, or for `timeout`, and takes all waiting queries. Returns `None` once the
    /// coalescer is closed.
    pub(super) fn next_batch(&self, timeout: Duration) -> Option<Vec<PendingQuery<V>>> {
        let mut waiting = self.waiting.lock();
        let is_idle =
            |waiting: &mut WaitingQueries<V>| waiting.queries.is_empty() && !waiting.closed;
        self.changed.wait_while_for(&mut waiting, is_idle, timeout);
        (!waiting.closed).then(|| std::mem::take(&mut waiting.queries))
    }

    /// Waits for `duration`, whatever is submitted meanwhile, or until the coalescer is closed.
    pub(super) fn pause(&self, duration: Duration) {
        let mut waiting = self.waiting.lock();
        self.changed
            .wait_while_for(&mut waiting, |waiting| !waiting.closed, duration);
    }

    /// Refuses waiting and later queries.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.queries.clear();
        self.changed.notify_all();
    }
}

impl<V> WaitingQueries<V> {
    fn has_room_for(&self, query: &Query) -> bool {
        let is_custom = |query: &Query| matches!(query, Query::Custom(_));
        let custom = self.queries.iter().filter(|it| is_custom(&it.query));
        !is_custom(query) || custom.count() < CUSTOM_QUERIES_MAX
    }
}

impl<V> PendingQuery<V> {
    /// Computes the answer and sends it to each client that has not left.
    pub(super) fn answer(mut self, view: &V) {
        self.clients.retain(|client| !client.is_closed());
        if self.clients.is_empty() {
            return;
        }
        let answer = (self.computation)(view);
        for client in self.clients {
            // A client may leave at any time.
            let _ = client.send(answer.clone());
        }
    }
}

impl<V> std::fmt::Debug for RequestCoalescer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} queries", self.waiting.lock().queries.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::thread;

    use super::*;

    const HEALTH: Query = Query::Common("health", "10s");

    /// Counts computations.
    type Counter = AtomicU64;

    fn count(counter: &Counter) -> SharedBody {
        let number = counter.fetch_add(1, SeqCst);
        Some(vec![number.to_string().into()])
    }

    fn answer_all(coalescer: &RequestCoalescer<Counter>, counter: &Counter) {
        let queries = coalescer.next_batch(Duration::ZERO).expect("not closed");
        queries.into_iter().for_each(|query| query.answer(counter));
    }

    #[test]
    fn hundreds_of_equal_queries_cost_one_computation() {
        let (coalescer, counter) = (Arc::new(RequestCoalescer::default()), Counter::default());
        let submit_many = || {
            let coalescer = Arc::clone(&coalescer);
            thread::spawn(move || (0..100).map(|_| coalescer.submit(HEALTH, count)).collect())
        };
        let threads: Vec<_> = (0..8).map(|_| submit_many()).collect();
        let receivers = threads.into_iter().flat_map(|thread| {
            let receivers: Vec<_> = thread.join().expect("no panic");
            receivers
        });
        let receivers: Vec<_> = receivers.map(|it| it.expect("room")).collect();
        answer_all(&coalescer, &counter);
        let mut answers = receivers.into_iter().map(|it| it.blocking_recv());
        let first: SharedBody = Some(vec!["0".into()]);
        assert!(answers.all(|answer| answer.as_ref() == Ok(&first)));
        assert_eq!(counter.load(SeqCst), 1);
        // A query that comes after the computation is computed anew.
        let later = coalescer.submit(HEALTH, count).expect("room");
        answer_all(&coalescer, &counter);
        assert_eq!(later.blocking_recv(), Ok(Some(vec!["1".into()])));
    }

    #[test]
    fn custom_queries_do_not_crowd_out_common_ones() {
        let (coalescer, counter) = (RequestCoalescer::default(), Counter::default());
        let custom = |number: usize| {
            let query = Query::Custom(number.to_string());
            coalescer.submit(query, count)
        };
        let receivers: Vec<_> = (0..CUSTOM_QUERIES_MAX).map(custom).collect();
        assert_eq!(custom(CUSTOM_QUERIES_MAX).err(), Some(Busy));
        assert!(custom(0).is_ok(), "it waits already");
        let common = coalescer.submit(HEALTH, count).expect("room");
        answer_all(&coalescer, &counter);
        assert!(common.blocking_recv().is_ok());
        let mut answers = receivers
            .into_iter()
            .map(|it| it.expect("room").blocking_recv());
        assert!(answers.all(|answer| answer.is_ok()));
        assert_eq!(counter.load(SeqCst), CUSTOM_QUERIES_MAX as u64 + 1);
        assert!(custom(CUSTOM_QUERIES_MAX).is_ok());
    }

    #[test]
    fn nothing_is_computed_for_clients_that_left() {
        let (coalescer, counter) = (RequestCoalescer::default(), Counter::default());
        drop(coalescer.submit(HEALTH, count));
        answer_all(&coalescer, &counter);
        assert_eq!(counter.load(SeqCst), 0);
    }

    #[test]
    fn nobody_waits_for_a_closed_coalescer() {
        let coalescer = RequestCoalescer::<Counter>::default();
        let answer = coalescer.submit(HEALTH, count).expect("room");
        coalescer.close();
        assert!(answer.blocking_recv().is_err());
        assert_eq!(coalescer.submit(HEALTH, count).err(), Some(Busy));
        assert!(coalescer.next_batch(Duration::MAX).is_none());
    }
}
