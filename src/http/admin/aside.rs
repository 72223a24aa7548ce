//! Work that blocks, aside from the workers' threads.

use std::sync::Arc;
use std::thread::Builder;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::{Semaphore, oneshot};

use crate::http::problem::Problem;
use crate::limits::ADMIN_THREADS_MAX;
use crate::sale::Unavailable;

/// Where blocking work is done: each on a thread of its own, a bounded number at a time.
#[derive(Debug)]
pub(super) struct Aside {
    threads: Arc<Semaphore>,
    /// The cores of whoever made this. A thread that a worker starts would stay on the worker's core.
    cores: Option<CpuSet>,
}

impl Aside {
    /// Threads that run where the calling thread may run.
    pub(super) fn new() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(ADMIN_THREADS_MAX)),
            cores: sched_getaffinity(None).ok(),
        }
    }

    /// What comes of `work`, which goes on to its end also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let thread = Arc::clone(&self.threads).try_acquire_owned();
        let thread = thread.map_err(|_| Unavailable::Overloaded)?;
        let (tell, told) = oneshot::channel();
        let cores = self.cores;
        let run = move || {
            if let Some(cores) = cores {
                // An error leaves it on the worker's core, where it works as well.
                let _ = sched_setaffinity(None, &cores);
            }
            // Nobody may be listening.
            let _ = tell.send(work());
            drop(thread);
        };
        let started = Builder::new().name("administration".into()).spawn(run);
        started.map_err(|_| Unavailable::Overloaded)?;
        told.await.map_err(|_| Problem::internal())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn threads_are_bounded() {
        let (aside, (release, wait)) = (Aside::new(), mpsc::channel::<()>());
        let wait = Arc::new(parking_lot::Mutex::new(wait));
        let block = |_| {
            let wait = Arc::clone(&wait);
            // An error is the end of the wait, too.
            aside.run(move || Ok(wait.lock().recv().is_err()))
        };
        let all = join_all((0..ADMIN_THREADS_MAX).map(block));
        let one_more = async {
            let refused = aside.run(|| Ok(())).await.is_err();
            drop(release);
            refused
        };
        let (all, refused) = tokio::join!(all, one_more);
        assert!(refused && all.iter().all(Result::is_ok));
        aside.run(|| Ok(())).await.expect("there is room again");
    }
}
