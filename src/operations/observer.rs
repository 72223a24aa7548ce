//! The thread that puts the figures together.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::allowance::Allowance;
use super::questions::{Busy, Question, Questions, Told};
use super::view::{Sources, View};
use crate::env::{thread_cpu_us, within};
use crate::limits::{ANSWER_SECONDS_MAX, LOOK_MS};
use crate::live::Update;

/// Looks at the figures once a second, and answers questions about them in between. It has a thread of its
/// own, so that no worker's buyers wait for it.
#[derive(Debug)]
pub struct Observer {
    questions: Arc<Questions<View>>,
    seconds: watch::Receiver<Update>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(sources: Sources) -> std::io::Result<Arc<Self>> {
        let questions = Arc::new(Questions::default());
        let (tell, seconds) = watch::channel(Update::default());
        let asked = Arc::clone(&questions);
        let run = move || observe(View::new(sources), &asked, &tell);
        let thread = Builder::new().name("observer".into()).spawn(run)?;
        Ok(Arc::new(Self {
            questions,
            seconds,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// What `work` makes of the figures as they are now, or what it made of them for somebody who asked the
    /// same `question` at the same time.
    ///
    /// # Errors
    /// Too many others ask something else, or the thread is held up.
    pub async fn ask(
        &self,
        question: Question,
        work: impl FnOnce(&View) -> Told + Send + 'static,
    ) -> Result<Told, Busy> {
        let told = self.questions.put(question, work)?;
        let patience = Duration::from_secs(ANSWER_SECONDS_MAX);
        let told = within(patience, told).await.ok_or(Busy)?;
        told.map_err(|_| Busy)
    }

    /// One event for every second from now on, beginning with the last one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Update> {
        self.seconds.clone()
    }

    /// Ends the thread; returns when it has ended.
    pub fn stop(&self) {
        if let Some(thread) = self.thread.lock().take() {
            self.questions.end();
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

fn observe(mut view: View, questions: &Questions<View>, tell: &watch::Sender<Update>) {
    let look_us = LOOK_MS * 1000;
    let mut next_us = view.now_us() + look_us;
    let mut number = 0;
    let mut allowance = Allowance::new(view.now_us());
    loop {
        let left_us = next_us.saturating_sub(view.now_us());
        let Some(asked) = questions.take(Duration::from_micros(left_us)) else {
            return;
        };
        let begun_us = thread_cpu_us();
        asked.into_iter().for_each(|asked| asked.answer(&view));
        let now_us = view.now_us();
        let rest_us = allowance.spend(thread_cpu_us() - begun_us, now_us);
        if now_us < next_us {
            questions.rest(Duration::from_micros(rest_us.min(next_us - now_us)));
            continue;
        }
        number += 1;
        tell.send_replace(Update {
            event: view.look(),
            number,
            ..Update::default()
        });
        // One that comes late does not make the next ones come early.
        next_us = (next_us + look_us).max(now_us + look_us / 2);
    }
}
