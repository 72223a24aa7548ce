//! The loop that brings one sink behind the journal, whatever happens to the sink.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::deadline::within;
use super::error::SinkError;
use super::progress::CatchUpProgress;
use super::sink::{Sink, SinkBatch};
use super::source::{Located, RecordSource};
use super::watermark::{Applied, Watermark};
use crate::env::{Clock, Entropy};
use crate::journal::Tail;
use crate::limits;
use crate::telemetry::SinkGauge;
#[cfg(feature = "otel")]
use crate::telemetry::spans::{self, Finished, KeyValue, SpanKind};
use crate::types::{Lsn, Timestamp};

const SLOW: Duration = Duration::from_secs(limits::SINK_SLOW_SECONDS);

/// What a follower needs besides its sink and its source.
pub struct FollowerTools {
    /// Measures how long ago the sink was asked.
    pub clock: Arc<dyn Clock>,
    /// Spreads the attempts.
    pub entropy: Arc<dyn Entropy>,
    /// Is told how it goes.
    pub gauge: Arc<SinkGauge>,
}

/// A thread that feeds one sink.
pub struct Follower {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
    applied: Applied,
    first: mpsc::Receiver<Result<(), SinkError>>,
}

impl Follower {
    /// Starts to feed the sink that `make` makes on the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start<S: Sink>(
        make: impl FnOnce() -> S + Send + 'static,
        source: RecordSource,
        tools: FollowerTools,
    ) -> std::io::Result<Self> {
        tools.gauge.configure();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let (send_first, first) = mpsc::channel();
        let applied = Applied::default();
        let ours = applied.clone();
        let run = move || {
            // Of this thread only: those who sell go first.
            let _ = rustix::process::nice(limits::FOLLOW_NICE);
            let feeding = Feeding::new(make(), source, tools, ours, stopped, Some(send_first));
            runtime.block_on(feeding.run());
            // Looking a name up cannot be interrupted, and nobody waits for it any more.
            runtime.shutdown_background();
        };
        let thread = Builder::new().name("follow".into()).spawn(run)?;
        Ok(Self {
            thread,
            stop,
            applied,
            first,
        })
    }

    /// The last record that the sink is known to hold.
    #[must_use]
    pub fn applied(&self) -> Applied {
        self.applied.clone()
    }

    /// Waits until the sink was found in order or something was wrong with it; `None` when it did not
    /// say either in time.
    #[must_use]
    pub fn first_word(&self, patience: Duration) -> Option<Result<(), SinkError>> {
        self.first.recv_timeout(patience).ok()
    }

    /// Lets the thread end: once the sink has everything, or is down, or too much time has passed.
    pub fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Asks the thread to stop and waits until it has.
    pub fn stop(self) {
        self.ask_to_stop();
        let _ = self.thread.join();
    }
}

/// Feeds `sink` on the calling task, without a thread, until `stopped` becomes true and the sink has everything, or is down,
/// or too much time has passed. `applied` follows what it holds.
pub async fn feed<S: Sink>(
    sink: S,
    source: RecordSource,
    tools: FollowerTools,
    applied: Applied,
    stopped: watch::Receiver<bool>,
) {
    let feeding = Feeding::new(sink, source, tools, applied, stopped, None);
    feeding.run().await;
}

struct Feeding<S> {
    sink: S,
    source: RecordSource,
    backoff: Backoff,
    clock: Arc<dyn Clock>,
    gauge: Arc<SinkGauge>,
    applied: Applied,
    stopped: watch::Receiver<bool>,
    /// The channel to the thread that waits for the first result.
    first: Option<mpsc::Sender<Result<(), SinkError>>>,
    /// What was logged last, so that it is not logged again with every attempt.
    said: String,
    works_since_start: bool,
    progress: CatchUpProgress,
    /// Where the sink began the last time that it started over.
    begun: Watermark,
    /// When the oldest record that waits for the sink was decided, once that has been looked up.
    oldest: Option<Timestamp>,
    /// What was read may be lost in a power cut, although it looks as if it were on the disk.
    disk_failed: bool,
}

/// A sink that was found in order, with the way on.
struct FollowerPosition {
    watermark: Watermark,
    tail: Tail,
    asked_us: u64,
}

impl<S: Sink> Feeding<S> {
    fn new(
        sink: S,
        source: RecordSource,
        tools: FollowerTools,
        applied: Applied,
        stopped: watch::Receiver<bool>,
        first: Option<mpsc::Sender<Result<(), SinkError>>>,
    ) -> Self {
        Self {
            progress: CatchUpProgress::new(sink.name(), Arc::clone(&tools.clock)),
            sink,
            source,
            backoff: Backoff::new(tools.entropy),
            clock: tools.clock,
            gauge: tools.gauge,
            applied,
            stopped,
            first,
            said: String::new(),
            works_since_start: false,
            begun: Watermark::ZERO,
            oldest: None,
            disk_failed: false,
        }
    }

    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            sleep(Duration::from_secs(limits::FOLLOW_DRAIN_SECONDS)).await;
        };
        // In a fixed order here and below, so that a simulated run can be repeated.
        tokio::select! {
            biased;
            () = self.feed() => {}
            () = stop => tracing::warn!(
                address = self.sink.address(),
                "{}: not caught up; it goes on with the next start",
                self.sink.name()
            ),
        }
    }

    async fn feed(&mut self) {
        while let Err(error) = self.follow().await {
            self.complain(error);
            self.see_how_old();
            if *self.stopped.borrow() {
                return;
            }
            let wait = self.backoff.next();
            tokio::select! {
                biased;
                () = sleep(wait) => {}
                _ = self.stopped.changed() => {}
            }
        }
    }

    fn complain(&mut self, error: SinkError) {
        let reason = error.to_string();
        self.progress.interrupt();
        self.gauge.failed(&error.shown());
        if self.said != reason {
            let (sink, address) = (self.sink.name(), self.sink.address());
            tracing::error!(sink, address, "{sink} is not followed: {address}: {reason}");
            self.said = reason;
        }
        // One that does not answer may do so in the next moment.
        if error.lasts() {
            self.send_first_word(Err(error));
        }
    }

    fn send_first_word(&mut self, word: Result<(), SinkError>) {
        if let Some(first) = self.first.take() {
            let _ = first.send(word);
        }
    }

    /// Connects and follows the journal until something fails, or there is no more to do.
    async fn follow(&mut self) -> Result<(), SinkError> {
        if self.disk_failed {
            let why = "the journal's disk has failed: restart the server";
            return Err(SinkError::Refused(why.into()));
        }
        let connect = Duration::from_secs(limits::SINK_CONNECT_SECONDS);
        let name = self.sink.name();
        let mut found = within(connect, self.sink.open()).await?;
        loop {
            let audit = self.sink.audit(found);
            let audited = working(audit, &self.gauge, "its sums are checked").await?;
            let is_lost = audited == Watermark::ZERO && found != Watermark::ZERO;
            let mut position = self.position(audited, is_lost).await?;
            match self.follow_from(&mut position).await {
                Err(SinkError::Moved) => {
                    let expected = position.watermark;
                    found = within(connect, self.sink.watermark()).await?;
                    if found != Watermark::ZERO {
                        tracing::warn!(
                            "{name} is not where it was: expected {expected}, found {found}"
                        );
                    }
                    if found == expected {
                        // Somebody moves it to and fro; that is no reason to spin.
                        return Err(SinkError::Unavailable(SinkError::Moved.to_string()));
                    }
                }
                ended => return ended,
            }
        }
    }

    /// Finds the sink's place in the journal.
    /// `is_lost` says that it held more, which may not be trusted.
    async fn position(
        &mut self,
        found: Watermark,
        is_lost: bool,
    ) -> Result<FollowerPosition, SinkError> {
        let (watermark, tail) = match self.source.locate(found)? {
            Located::Continues(tail) => (found, tail),
            Located::Diverged(error) => {
                return Err(SinkError::Diverged(format!(
                    "{error}: it follows another journal, or this one has lost records or is an older state \
                     (a restored backup){}",
                    self.sink.remedy()
                )));
            }
            Located::StartsOver => {
                self.source.check_settled()?;
                let held = self.applied.get();
                // From here on nothing may be trimmed that it needs again.
                self.is_at(found);
                // One that begins where it began before has taken nothing since.
                let has_moved = found.lsn > Lsn::ZERO && found != self.begun;
                let again = is_lost || held > found.lsn || has_moved;
                if again {
                    self.gauge.rebuilding();
                }
                let progress = &mut self.progress;
                let begun = self.sink.start_over(&self.source, found, held, progress);
                let begun = working(begun, &self.gauge, "it is being filled again").await?;
                self.begun = begun;
                // The journal may lack more than it did when the sink began where it was found.
                let has_gap = found.lsn > Lsn::ZERO && begun.lsn > found.lsn;
                if has_gap && !again {
                    self.gauge.rebuilding();
                }
                let tail = self.source.tail_after(begun.lsn)?;
                let tail = tail.ok_or_else(|| {
                    SinkError::Refused("the journal no longer holds what it needs next".into())
                })?;
                if again || has_gap {
                    self.progress.begin(begun.lsn, self.behind(begun));
                }
                (begun, tail)
            }
        };
        self.is_at(watermark);
        self.send_first_word(Ok(()));
        let asked_us = self.clock.monotonic_us();
        Ok(FollowerPosition {
            watermark,
            tail,
            asked_us,
        })
    }

    /// Records that a sink lacks which is at `watermark`.
    fn behind(&self, watermark: Watermark) -> u64 {
        self.source.durable().0.saturating_sub(watermark.lsn.0)
    }

    fn is_at(&self, watermark: Watermark) {
        self.applied.set(watermark.lsn);
        self.gauge.applied(watermark.lsn);
    }

    /// The sink took what it was given. That it lets us in and says where it is does not count: one
    /// that can be read but not written would seem to come and go with every attempt.
    fn works(&mut self, watermark: Watermark) {
        self.gauge.up();
        self.backoff.reset();
        let (sink, lsn) = (self.sink.name(), watermark.lsn);
        let is_news = !self.said.is_empty() || !self.works_since_start;
        if self.progress.is_begun() {
            self.progress.advance(lsn, self.behind(watermark));
        } else if is_news && self.behind(watermark) >= limits::CATCH_UP_RECORDS_MIN {
            self.progress.begin(lsn, self.behind(watermark));
        } else if !self.said.is_empty() {
            tracing::info!(sink, lsn = lsn.0, "{sink} is followed again");
        } else if is_news {
            tracing::info!(sink, lsn = lsn.0, "{sink} is followed");
        }
        self.works_since_start = true;
        self.said.clear();
    }

    async fn follow_from(&mut self, position: &mut FollowerPosition) -> Result<(), SinkError> {
        loop {
            let until = self.source.durable();
            while position.tail.next() <= until {
                self.apply_some(position).await?;
            }
            self.works(position.watermark);
            if self.behind(position.watermark) < limits::CATCH_UP_RECORDS_MIN {
                self.progress.end(position.watermark.lsn);
            }
            self.waits_since(None);
            if *self.stopped.borrow() {
                if until == self.source.durable() {
                    return Ok(());
                }
                continue;
            }
            self.check_watermark(position).await?;
            tokio::select! {
                biased;
                () = sleep(self.sink.pace()) => {}
                _ = self.stopped.changed() => {}
            }
        }
    }

    /// Reads a batch and applies it.
    async fn apply_some(&mut self, position: &mut FollowerPosition) -> Result<(), SinkError> {
        self.source.check_settled()?;
        let mut batch = self.sink.batch();
        let (from, mut to) = (position.watermark, position.watermark);
        let mut oldest = None;
        let mut room = limits::BATCH_RECORDS_MAX;
        position.tail.read(self.source.durable(), &mut |entry| {
            let taken = room > 0 && batch.push(entry)?;
            if taken {
                room -= 1;
                oldest = oldest.or(Some(entry.at));
                to = Watermark::at(entry);
            }
            Ok(taken)
        })?;
        if let Err(error) = self.source.settle(&mut position.tail) {
            self.disk_failed = true;
            return Err(error.into());
        }
        self.waits_since(oldest);
        // After a failure the batch is gone; the sink says from where to read it again.
        let started_ns = self.clock.monotonic_ns();
        patiently(self.sink.apply(batch, from, to), &self.gauge).await?;
        let ended_ns = self.clock.monotonic_ns();
        position.watermark = to;
        position.asked_us = ended_ns / 1000;
        let took_ns = ended_ns.saturating_sub(started_ns);
        self.gauge.took_batch(took_ns);
        #[cfg(feature = "otel")]
        self.trace(to.lsn.0 - from.lsn.0, took_ns);
        self.is_at(to);
        self.works(to);
        Ok(())
    }

    /// Makes a span of a batch that the sink has taken, if it is sampled.
    #[cfg(feature = "otel")]
    fn trace(&self, records: u64, took_ns: u64) {
        if spans::is_sampled() {
            let batch = Finished {
                name: format!("apply to {}", self.sink.name()),
                kind: SpanKind::Client,
                ended_at: self.clock.now(),
                took_ns,
                failed: false,
                attributes: vec![KeyValue::new("flashsale.records", records.cast_signed())],
            };
            batch.hand_on();
        }
    }

    /// Asks an idle sink now and then where it is.
    async fn check_watermark(&mut self, position: &mut FollowerPosition) -> Result<(), SinkError> {
        let now_us = self.clock.monotonic_us();
        if now_us - position.asked_us < limits::SINK_ASK_MS * 1000 {
            return Ok(());
        }
        position.asked_us = now_us;
        let found = within(SLOW, self.sink.watermark()).await?;
        self.gauge.up();
        if found == position.watermark {
            Ok(())
        } else {
            Err(SinkError::Moved)
        }
    }

    fn waits_since(&mut self, oldest: Option<Timestamp>) {
        self.oldest = oldest;
        self.gauge.waiting_since(oldest);
    }

    /// While a sink is away, says since when the oldest record waits for it. That does not change until
    /// it is back, so it is looked up once.
    fn see_how_old(&mut self) {
        let (applied, durable) = (self.applied.get(), self.source.durable());
        if self.oldest.is_some() || durable <= applied {
            return;
        }
        let at = self
            .source
            .with_record(applied.next(), &mut |entry| entry.at);
        // That the journal cannot be read is told when it is to be read.
        self.waits_since(at.ok().flatten());
    }
}

/// Returns the sink's answer to a batch, which may take long; meanwhile the sink counts as down.
async fn patiently<T>(
    answer: impl Future<Output = Result<T, SinkError>>,
    gauge: &SinkGauge,
) -> Result<T, SinkError> {
    let mut answer = std::pin::pin!(answer);
    if let Ok(answer) = timeout(SLOW, &mut answer).await {
        return answer;
    }
    gauge.down(&format!("no answer for {} s", SLOW.as_secs()));
    within(Duration::from_secs(limits::SINK_APPLY_SECONDS), answer).await
}

/// Waits for `work` on all that a sink holds, however much that is: the sink itself sees to it that no single
/// answer takes too long. Meanwhile it counts as down, for the given reason.
async fn working<T>(
    work: impl Future<Output = Result<T, SinkError>>,
    gauge: &SinkGauge,
    reason: &str,
) -> Result<T, SinkError> {
    let mut work = std::pin::pin!(work);
    if let Ok(ended) = timeout(SLOW, &mut work).await {
        return ended;
    }
    gauge.down(reason);
    work.await
}
