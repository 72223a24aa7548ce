//! The sales that events name items of, also those that have left memory.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::sale::{Archive, Engine, NotLoaded, Sale};
use crate::types::SaleId;

/// Finds sales, and blocks while one is loaded. Keeps the one that was found last.
pub struct EventSales {
    engine: Arc<Engine>,
    archive: Arc<Archive>,
    last: Option<Arc<Sale>>,
}

impl EventSales {
    /// Creates a finder of the sales of `engine`, and of those that `archive` loads.
    #[must_use]
    pub fn new(engine: Arc<Engine>, archive: Arc<Archive>) -> Self {
        Self {
            engine,
            archive,
            last: None,
        }
    }

    /// Returns the sale with this number.
    pub(super) fn find(&mut self, id: SaleId) -> Result<Arc<Sale>, NotLoaded> {
        if let Some(last) = self.last.as_ref().filter(|last| last.id() == id) {
            return Ok(Arc::clone(last));
        }
        let found = match self.engine.sale(id) {
            Some(sale) => sale,
            None => block_on(self.archive.load(id))?,
        };
        self.last = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Returns the units that the sale with this number began with.
    pub(super) fn units(&self, id: SaleId) -> Result<u64, NotLoaded> {
        self.engine.units_of(id).ok_or(NotLoaded::Unknown)
    }

    /// Lets go of the sale that was found last.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Wakes a thread that waits for a future.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until `future` is ready. Unlike a runtime's, it may be called on a thread that runs one.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ready) => return ready,
            Poll::Pending => thread::park(),
        }
    }
}
