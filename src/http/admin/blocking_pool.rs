//! Threads for work that blocks.

use std::sync::Arc;
use std::thread::Builder;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::{Semaphore, oneshot};

use crate::http::problem::Problem;
use crate::sale::Unavailable;

/// Runs blocking work on threads of its own, a bounded number at a time.
#[derive(Debug)]
pub(super) struct BlockingPool {
    threads: Arc<Semaphore>,
    /// The cores of the thread that created the pool. A thread that a worker starts would stay on the worker's core.
    cores: Option<CpuSet>,
}

impl BlockingPool {
    /// Creates a pool of `threads` at most, which may run on the cores of the calling thread.
    pub(super) fn of(threads: usize) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            cores: sched_getaffinity(None).ok(),
        }
    }

    /// Runs `work`, and returns its result. The work continues when the returned future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        self.start(move || {
            // An error means that the request was dropped.
            let _ = sender.send(work());
        })?;
        receiver.await.map_err(|_| Problem::internal())?
    }

    /// Starts `work` on a thread of the pool, and does not wait for its end.
    ///
    /// # Errors
    /// All threads are busy.
    pub(super) fn start(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
        let thread = Arc::clone(&self.threads).try_acquire_owned();
        let thread = thread.map_err(|_| Unavailable::Overloaded)?;
        let cores = self.cores;
        let run = move || {
            if let Some(cores) = cores {
                // An error leaves the thread on the worker's core, where it works, too.
                let _ = sched_setaffinity(None, &cores);
            }
            work();
            drop(thread);
        };
        let started = Builder::new().name("administration".into()).spawn(run);
        started.map_err(|_| Unavailable::Overloaded)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;
    use crate::limits::ADMIN_THREADS_MAX;

    #[tokio::test]
    async fn threads_are_bounded() {
        let (pool, (release, wait)) = (BlockingPool::of(ADMIN_THREADS_MAX), mpsc::channel::<()>());
        let wait = Arc::new(parking_lot::Mutex::new(wait));
        let block = |_| {
            let wait = Arc::clone(&wait);
            // An error is the end of the wait, too.
            pool.run(move || Ok(wait.lock().recv().is_err()))
        };
        let all = join_all((0..ADMIN_THREADS_MAX).map(block));
        let one_more = async {
            let refused = pool.run(|| Ok(())).await.is_err();
            drop(release);
            refused
        };
        let (all, refused) = tokio::join!(all, one_more);
        assert!(refused && all.iter().all(Result::is_ok));
        pool.run(|| Ok(())).await.expect("there is room again");
    }
}
