//! Sales that have left memory, loaded again when somebody asks for them: one at a time, on a thread of
//! its own, and a few of them kept for the next who asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::ended_sale::EndedSale;
use super::engine::Engine;
use super::file::{self, Folding};
use super::sale::Sale;
use crate::env::step_back;
use crate::journal::JournalError;
use crate::limits;
use crate::record::Entry;
use crate::types::{SaleId, Timestamp};

/// Why a sale was not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLoaded {
    /// There is no such sale.
    Unknown,
    /// Too many others are to be loaded.
    Overloaded,
    /// The contents of the sale cannot be read at the moment.
    Unavailable,
}

/// A source of the records of a sale whose file was removed.
pub trait SaleSource: Send {
    /// Hands the records that lead to the sale to `visit`, in order.
    ///
    /// # Errors
    /// Says why they cannot be had, or the visitor's own.
    fn read(&mut self, ended: &EndedSale, visit: VisitEntry<'_>) -> Result<(), String>;
}

/// Takes the next record.
pub type VisitEntry<'a> = &'a mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>;

/// The archive of an engine's sales.
pub struct Archive {
    engine: Arc<Engine>,
    shelf: Arc<Mutex<Shelf>>,
    requests: SyncSender<EndedSale>,
}

impl Archive {
    /// Starts the thread that loads; it ends some time after the archive was dropped. Sales whose file
    /// was removed come from `elsewhere`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        engine: Arc<Engine>,
        elsewhere: Option<Box<dyn SaleSource>>,
    ) -> std::io::Result<Self> {
        let (archive, mut loader) = Self::unstarted(engine, elsewhere);
        let run = move || loader.run();
        Builder::new().name("archive".into()).spawn(run)?;
        Ok(archive)
    }

    /// Creates an archive without a thread: its owner has the loader load what is asked for.
    #[must_use]
    pub fn unstarted(
        engine: Arc<Engine>,
        elsewhere: Option<Box<dyn SaleSource>>,
    ) -> (Self, Loader) {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let (requests, requested) = sync_channel(limits::LOADS_WAITING_MAX);
        let loader = Loader {
            engine: Arc::clone(&engine),
            shelf: Arc::clone(&shelf),
            requested,
            elsewhere,
        };
        let archive = Self {
            engine,
            shelf,
            requests,
        };
        (archive, loader)
    }

    /// An ended sale with all that is in it. Whoever asks for one that is just being loaded waits for
    /// that.
    ///
    /// # Errors
    /// There is none, or it cannot be loaded now.
    pub async fn load(&self, id: SaleId) -> Result<Arc<Sale>, NotLoaded> {
        let ended = *self.engine.ended().get(id).ok_or(NotLoaded::Unknown)?;
        let loaded = {
            let now = self.engine.clock().steady();
            let mut shelf = self.shelf.lock();
            if let Some(sale) = shelf.take_down(id, now) {
                return Ok(sale);
            }
            let (sender, receiver) = oneshot::channel();
            if let Some(waiting) = shelf.waiting.get_mut(&id) {
                add_waiting(waiting, sender);
            } else if self.requests.try_send(ended).is_ok() {
                shelf.waiting.insert(id, vec![sender]);
            } else {
                return Err(NotLoaded::Overloaded);
            }
            receiver
        };
        loaded.await.unwrap_or(Err(NotLoaded::Unavailable))
    }

    /// Returns the number of loaded sales that are kept in memory.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shelf.lock().kept.len()
    }
}

type Waiting = oneshot::Sender<Result<Arc<Sale>, NotLoaded>>;

/// Adds a waiting request. Requests that were given up make room first: there are no more than are open.
fn add_waiting(waiting: &mut Vec<Waiting>, sender: Waiting) {
    if waiting.len() == waiting.capacity() {
        waiting.retain(|sender| !sender.is_closed());
    }
    waiting.push(sender);
}

/// The loaded sales, and the requests that wait for others.
#[derive(Default)]
struct Shelf {
    /// The one that was asked for last comes last.
    kept: Vec<Kept>,
    waiting: HashMap<SaleId, Vec<Waiting>>,
}

struct Kept {
    sale: Arc<Sale>,
    bytes: usize,
    /// The time of its last request, by the steady clock.
    asked_at: Timestamp,
}

impl Shelf {
    fn take_down(&mut self, id: SaleId, now: Timestamp) -> Option<Arc<Sale>> {
        let place = self.kept.iter().position(|kept| kept.sale.id() == id)?;
        self.kept[place..].rotate_left(1);
        let kept = self.kept.last_mut()?;
        kept.asked_at = now;
        Some(Arc::clone(&kept.sale))
    }

    /// Keeps the sale; those that leave for it, for the caller to free.
    fn keep(&mut self, sale: Arc<Sale>, bytes: usize, asked_at: Timestamp) -> Vec<Kept> {
        self.kept.push(Kept {
            sale,
            bytes,
            asked_at,
        });
        let mut total: usize = self.kept.iter().map(|kept| kept.bytes).sum();
        let mut leaving = 0;
        while total > limits::LOADED_BYTES_MAX && leaving + 1 < self.kept.len() {
            total -= self.kept[leaving].bytes;
            leaving += 1;
        }
        self.kept.drain(..leaving).collect()
    }

    /// Cancels the load of a sale when every request for it was given up; returns whether it did.
    fn cancel_unawaited(&mut self, id: SaleId) -> bool {
        let waiting = self.waiting.get(&id).map_or(&[][..], Vec::as_slice);
        let unawaited = waiting.iter().all(oneshot::Sender::is_closed);
        if unawaited {
            self.waiting.remove(&id);
        }
        unawaited
    }

    /// Takes out the sales that nobody has asked for of late, for the caller to free.
    fn remove_idle(&mut self, now: Timestamp) -> Vec<Kept> {
        let is_idle = |kept: &Kept| kept.asked_at.plus_seconds(limits::LOADED_IDLE_SECONDS) <= now;
        let idle = self.kept.iter().take_while(|kept| is_idle(kept)).count();
        self.kept.drain(..idle).collect()
    }
}

/// Loads the sales that an archive is asked for.
pub struct Loader {
    engine: Arc<Engine>,
    shelf: Arc<Mutex<Shelf>>,
    requested: Receiver<EndedSale>,
    elsewhere: Option<Box<dyn SaleSource>>,
}

impl Loader {
    /// Loads the next sale that is asked for; `false` where none is.
    pub fn load_next(&mut self) -> bool {
        let requested = self.requested.try_recv();
        if let Ok(ended) = &requested {
            self.load_for_all(ended);
        }
        requested.is_ok()
    }

    fn run(&mut self) {
        // Of this thread only: those who sell go first.
        step_back(limits::BACKGROUND_NICE);
        let idle = Duration::from_secs(u64::from(limits::LOADED_IDLE_SECONDS));
        loop {
            match self.requested.recv_timeout(idle) {
                Ok(ended) => self.load_for_all(&ended),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.engine.clock().steady();
            let left = self.shelf.lock().remove_idle(now);
            // Freed without the lock.
            drop(left);
        }
    }

    fn load_for_all(&mut self, ended: &EndedSale) {
        if self.shelf.lock().cancel_unawaited(ended.id) {
            return;
        }
        let loaded = self.load(ended).map_err(|why| {
            tracing::error!("sale {} cannot be loaded: {why}", ended.id);
            NotLoaded::Unavailable
        });
        let bytes = loaded.as_ref().map_or(0, |sale| sale.memory_bytes());
        let now = self.engine.clock().steady();
        let mut shelf = self.shelf.lock();
        let left = loaded
            .as_ref()
            .ok()
            .map(|sale| shelf.keep(Arc::clone(sale), bytes, now));
        let waiting = shelf.waiting.remove(&ended.id).unwrap_or_default();
        drop(shelf);
        drop(left);
        for waiting in waiting {
            // Who has gone needs no answer.
            let _ = waiting.send(loaded.clone());
        }
    }

    /// From the sale's file; else from elsewhere.
    fn load(&mut self, ended: &EndedSale) -> Result<Arc<Sale>, String> {
        let journal = self.engine.journal();
        let from_file = file::load(&**journal.disk(), journal.dir(), ended);
        let (error, elsewhere) = match (from_file, &mut self.elsewhere) {
            (Ok(sale), _) => return Ok(sale),
            (Err(error), None) => return Err(error.to_string()),
            (Err(error), Some(elsewhere)) => (error, elsewhere),
        };
        let mut folding = Folding::of(ended);
        let read = elsewhere.read(ended, &mut |entry| folding.take(entry));
        read.and_then(|()| folding.finish())
            .map_err(|why| format!("{error}; and {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CatalogueKind, SaleTerms};
    use crate::sale::catalogue::Catalogue;
    use crate::types::{PaymentTerms, Timestamp};

    fn sale(id: u32, item_count: u32) -> Arc<Sale> {
        let (sale, seed) = (SaleId(id), 1);
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Generated { seed, item_count },
        };
        let catalogue = Catalogue::Generated {
            sale,
            seed,
            item_count,
        };
        Arc::new(Sale::new(sale, terms, catalogue))
    }

    fn ids(shelf: &Shelf) -> Vec<u32> {
        shelf.kept.iter().map(|kept| kept.sale.id().0).collect()
    }

    fn second(seconds: u32) -> Timestamp {
        Timestamp(0).plus_seconds(seconds)
    }

    #[test]
    fn what_was_asked_for_last_stays_and_the_newest_in_any_case() {
        let mut shelf = Shelf::default();
        let (third, now) = (limits::LOADED_BYTES_MAX / 3, second(0));
        for id in 1..=3 {
            assert!(shelf.keep(sale(id, 1), third, now).is_empty());
        }
        assert!(shelf.take_down(SaleId(1), now).is_some());
        assert!(shelf.take_down(SaleId(9), now).is_none());
        assert_eq!(ids(&shelf), [2, 3, 1]);
        assert_eq!(shelf.keep(sale(4, 1), third, now).len(), 1);
        assert_eq!(ids(&shelf), [3, 1, 4]);
        let all = limits::LOADED_BYTES_MAX;
        assert_eq!(shelf.keep(sale(5, 1), all + 1, now).len(), 3);
        assert_eq!(ids(&shelf), [5]);
    }

    #[test]
    fn a_sale_that_nobody_asks_for_again_leaves_memory() {
        let mut shelf = Shelf::default();
        for id in 1..=2 {
            shelf.keep(sale(id, 1), limits::LOADED_BYTES_MAX / 2, second(0));
        }
        let half = limits::LOADED_IDLE_SECONDS / 2;
        assert!(shelf.take_down(SaleId(1), second(half)).is_some());
        assert!(shelf.remove_idle(second(2 * half - 1)).is_empty());
        assert_eq!(shelf.remove_idle(second(2 * half)).len(), 1);
        assert_eq!(ids(&shelf), [1]);
        assert_eq!(shelf.remove_idle(second(3 * half)).len(), 1);
    }

    #[test]
    fn requests_that_were_given_up_take_no_memory_while_a_sale_is_loaded() {
        let (sender, first) = oneshot::channel();
        let mut waiting = vec![sender];
        for _ in 0..10_000 {
            let (sender, receiver) = oneshot::channel();
            add_waiting(&mut waiting, sender);
            drop(receiver);
        }
        assert!(waiting.capacity() <= 16, "{} places", waiting.capacity());
        let open = waiting.iter().filter(|sender| !sender.is_closed()).count();
        assert_eq!(open, 1);
        drop(first);
    }

    #[test]
    fn a_sale_that_nobody_waits_for_any_more_is_not_loaded() {
        let mut shelf = Shelf::default();
        let [id, other] = [SaleId(1), SaleId(2)];
        let (given_up, receiver) = oneshot::channel();
        drop(receiver);
        let (open, _receiver) = oneshot::channel();
        shelf.waiting.insert(id, vec![given_up, open]);
        assert!(!shelf.cancel_unawaited(id), "one of two waits");
        assert_eq!(shelf.waiting[&id].len(), 2);
        let (given_up, receiver) = oneshot::channel();
        drop(receiver);
        shelf.waiting.insert(other, vec![given_up]);
        assert!(shelf.cancel_unawaited(other));
        assert!(!shelf.waiting.contains_key(&other), "the next asks anew");
    }

    #[test]
    fn the_memory_of_few_buyers_and_of_long_texts_counts() {
        let bare = sale(1, 10_000).memory_bytes();
        assert!(bare >= 10_000 * 4, "{bare}");
        let busy = sale(2, 10_000);
        for user in 0..500 {
            busy.buyers
                .lock_user(&user.to_string())
                .find_or_insert(&user.to_string());
        }
        // Each lock has room for some buyers, of whom one takes a hundred bytes and more.
        let busy = busy.memory_bytes() - bare;
        assert!(busy > 64 * 32 * 96, "{busy}");
    }
}
