//! The thread that samples the server's figures and answers queries of them.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::cpu_budget::CpuBudget;
use super::request_coalescer::{Busy, Query, RequestCoalescer, SharedBody};
use super::view::{FigureSources, View};
use crate::env::{thread_cpu_us, within};
use crate::limits::{QUERY_SECONDS_MAX, SAMPLE_MS};
use crate::live::Update;

/// Samples the figures once a second, and answers queries in between. It has a thread of its own, so that no
/// worker's buyers wait for it.
#[derive(Debug)]
pub struct Observer {
    coalescer: Arc<RequestCoalescer<View>>,
    samples: watch::Receiver<Update>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(sources: FigureSources) -> std::io::Result<Arc<Self>> {
        let coalescer = Arc::new(RequestCoalescer::default());
        let (publisher, samples) = watch::channel(Update::default());
        let queries = Arc::clone(&coalescer);
        let run = move || observe(View::new(sources), &queries, &publisher);
        let thread = Builder::new().name("observer".into()).spawn(run)?;
        Ok(Arc::new(Self {
            coalescer,
            samples,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Creates an observer without a thread: it answers no query.
    #[must_use]
    pub fn unstarted() -> Arc<Self> {
        let (_, samples) = watch::channel(Update::default());
        Arc::new(Self {
            coalescer: Arc::default(),
            samples,
            thread: Mutex::default(),
        })
    }

    /// Returns what `computation` makes of the present figures. Equal queries at the same time share one answer.
    ///
    /// # Errors
    /// Too many other queries wait, or the observer did not answer in time.
    pub async fn query(
        &self,
        query: Query,
        computation: impl FnOnce(&View) -> SharedBody + Send + 'static,
    ) -> Result<SharedBody, Busy> {
        let receiver = self.coalescer.submit(query, computation)?;
        let timeout = Duration::from_secs(QUERY_SECONDS_MAX);
        let answer = within(timeout, receiver).await.ok_or(Busy)?;
        answer.map_err(|_| Busy)
    }

    /// Subscribes to the samples: one event a second, beginning with the last one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Update> {
        self.samples.clone()
    }

    /// Ends the thread and waits until it has ended.
    pub fn stop(&self) {
        if let Some(thread) = self.thread.lock().take() {
            self.coalescer.close();
            // An error says that it has ended.
            let _ = thread.join();
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Samples and answers until the coalescer is closed.
fn observe(mut view: View, coalescer: &RequestCoalescer<View>, publisher: &watch::Sender<Update>) {
    let interval_us = SAMPLE_MS * 1000;
    let mut next_us = view.now_us() + interval_us;
    let mut number = 0;
    let mut cpu_budget = CpuBudget::new(view.now_us());
    loop {
        let left_us = next_us.saturating_sub(view.now_us());
        let Some(queries) = coalescer.next_batch(Duration::from_micros(left_us)) else {
            return;
        };
        let begun_us = thread_cpu_us();
        queries.into_iter().for_each(|query| query.answer(&view));
        let now_us = view.now_us();
        let pause_us = cpu_budget.spend(thread_cpu_us() - begun_us, now_us);
        if now_us < next_us {
            coalescer.pause(Duration::from_micros(pause_us.min(next_us - now_us)));
            continue;
        }
        number += 1;
        publisher.send_replace(Update {
            event: view.sample(),
            number,
            ..Update::default()
        });
        // A late sample does not make the next ones come early.
        next_us = (next_us + interval_us).max(now_us + interval_us / 2);
    }
}
