//! Log lines while a sink catches up: that it began, how far it is every few seconds, and once
//! that it is done.

use std::sync::Arc;

use crate::env::Clock;
use crate::limits::PROGRESS_SECONDS;
use crate::types::Lsn;

/// The way of one sink to the end of the journal, as the log tells it.
pub struct CatchUpProgress {
    sink: &'static str,
    clock: Arc<dyn Clock>,
    /// When catching up began, and when the log was told of it last.
    began_us: Option<u64>,
    logged_us: u64,
}

impl CatchUpProgress {
    /// The progress of a sink of this name that has nothing to catch up with yet.
    #[must_use]
    pub fn new(sink: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self {
            sink,
            clock,
            began_us: None,
            logged_us: 0,
        }
    }

    pub(super) fn is_begun(&self) -> bool {
        self.began_us.is_some()
    }

    /// The sink has everything up to `lsn` and lacks `behind` records.
    pub(super) fn begin(&mut self, lsn: Lsn, behind: u64) {
        let (sink, lsn) = (self.sink, lsn.0);
        tracing::info!(
            sink,
            lsn,
            behind,
            "{sink} begins to catch up with the journal"
        );
        self.logged_us = self.clock.monotonic_us();
        self.began_us = Some(self.logged_us);
    }

    /// The sink has taken a batch.
    pub(super) fn advance(&mut self, lsn: Lsn, behind: u64) {
        if self.is_begun() && self.is_due() {
            let (sink, lsn) = (self.sink, lsn.0);
            tracing::info!(sink, lsn, behind, "{sink} is catching up with the journal");
        }
    }

    /// The sink has written `records` of the `total` records of a snapshot.
    pub fn restore(&mut self, records: u64, total: u64) {
        if self.is_due() {
            let sink = self.sink;
            tracing::info!(sink, records, total, "{sink} is filled from a snapshot");
        }
    }

    /// The sink has what there was to catch up with.
    pub(super) fn end(&mut self, lsn: Lsn) {
        if let Some(began_us) = self.began_us.take() {
            let took_ms = (self.clock.monotonic_us() - began_us) / 1000;
            let (sink, lsn) = (self.sink, lsn.0);
            tracing::info!(sink, lsn, took_ms, "{sink} has caught up with the journal");
        }
    }

    /// The sink failed, and the log says so.
    pub(super) fn interrupt(&mut self) {
        self.began_us = None;
    }

    fn is_due(&mut self) -> bool {
        let now_us = self.clock.monotonic_us();
        let is_due = now_us - self.logged_us >= PROGRESS_SECONDS * 1_000_000;
        if is_due {
            self.logged_us = now_us;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use parking_lot::Mutex;

    use super::*;
    use crate::env::ManualClock;
    use crate::types::Timestamp;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_hears_of_the_beginning_of_every_ten_seconds_and_once_of_the_end() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .finish();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let mut progress = CatchUpProgress::new("Redis", Arc::clone(&clock) as _);
        tracing::subscriber::with_default(subscriber, || {
            progress.advance(Lsn(1), 99);
            progress.end(Lsn(1));
            progress.begin(Lsn(10), 152_737);
            for second in 1..=25 {
                clock.advance_us(1_000_000);
                progress.advance(Lsn(10 + second), 152_737 - second);
            }
            progress.end(Lsn(40));
            progress.end(Lsn(41));
        });
        let expected =
            " INFO Redis begins to catch up with the journal sink=\"Redis\" lsn=10 behind=152737
 INFO Redis is catching up with the journal sink=\"Redis\" lsn=20 behind=152727
 INFO Redis is catching up with the journal sink=\"Redis\" lsn=30 behind=152717
 INFO Redis has caught up with the journal sink=\"Redis\" lsn=40 took_ms=25000
";
        let told = String::from_utf8(log.0.lock().clone()).expect("UTF-8");
        assert_eq!(told, expected);
    }
}
