//! An endpoint as a sink: each batch is a message, and its watermark the place beside the journal.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::batch::WebhookBatch;
use super::client::{EndpointAnswer, EndpointClient, unanswered};
use super::options::WebhookOptions;
use super::place::PlaceFile;
use super::retry::Retry;
use super::signature::signed;
use crate::env::{Clock, Disk, Entropy};
use crate::events::EventWriter;
use crate::journal::{self, fingerprint};
use crate::limits::{WEBHOOK_PACE_MS, WEBHOOK_PLACE_MS, WEBHOOK_SECONDS_MAX};
use crate::reconcile::{CatchUpProgress, RecordSource, Sink, SinkError, Watermark};
use crate::types::Lsn;

/// The parts that a sink of this kind is made of.
pub struct WebhookParts {
    /// The options of the endpoint.
    pub options: WebhookOptions,
    /// Writes the events.
    pub writer: EventWriter,
    /// The disk that the journal is on.
    pub disk: Arc<dyn Disk>,
    /// The journal's directory.
    pub dir: PathBuf,
    /// Tells when a message is sent.
    pub clock: Arc<dyn Clock>,
    /// Spreads the attempts.
    pub entropy: Arc<dyn Entropy>,
}

/// One endpoint.
pub struct WebhookSink {
    options: Arc<WebhookOptions>,
    writer: Rc<RefCell<EventWriter>>,
    client: EndpointClient,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    place: PlaceFile,
    /// Up to where the endpoint has everything, once that is known.
    at: Option<Watermark>,
    /// What of it is in the file, and since when.
    written: Option<Watermark>,
    written_us: u64,
    retry: Retry,
    /// The endpoint has answered that it is gone.
    is_off: bool,
}

impl WebhookSink {
    /// Creates the sink, which has sent nothing.
    #[must_use]
    pub fn new(parts: WebhookParts) -> Self {
        let options = Arc::new(parts.options);
        Self {
            place: PlaceFile::new(Arc::clone(&parts.disk), &parts.dir, options.url.as_str()),
            disk: parts.disk,
            dir: parts.dir,
            client: EndpointClient::new(Arc::clone(&options)),
            writer: Rc::new(RefCell::new(parts.writer)),
            retry: Retry::new(parts.entropy),
            clock: parts.clock,
            options,
            at: None,
            written: None,
            written_us: 0,
            is_off: false,
        }
    }

    /// Sends a message until the endpoint has taken it, or an error.
    async fn deliver(&mut self, batch: WebhookBatch) -> Result<(), SinkError> {
        let id = batch.message_id(self.writer.borrow().source());
        let body = Bytes::from(batch.into_body());
        let now = self.clock.now();
        let headers = signed(&id, now, &body, &self.secrets());
        let patience = Duration::from_secs(WEBHOOK_SECONDS_MAX);
        // Looking a name up cannot be interrupted, so that the client itself may take longer.
        let posted = timeout(patience, self.client.post(headers, body, now)).await;
        match posted.unwrap_or_else(|_| Err(unanswered())) {
            Ok(answer) if answer.status.is_success() => {
                self.retry.reset();
                Ok(())
            }
            Ok(answer) => Err(self.refused(answer)),
            Err(error) => {
                self.client.disconnect();
                self.retry.fail(self.clock.monotonic_us(), None, &error);
                Err(error)
            }
        }
    }

    fn refused(&mut self, answer: EndpointAnswer) -> SinkError {
        let status = answer.status;
        if status == StatusCode::GONE {
            self.is_off = true;
            return switched_off();
        }
        let pause = answer.retry_after_seconds;
        let mut why = format!("it answered {}", status.as_u16());
        if status.is_redirection() {
            why.push_str(", and redirects are not followed");
        }
        if let Some(seconds) = pause {
            why.push_str(&format!(", and wants to be asked again after {seconds} s"));
        }
        let error = SinkError::Unavailable(why);
        self.retry.fail(self.clock.monotonic_us(), pause, &error);
        error
    }

    fn secrets(&self) -> Vec<SecretString> {
        let secrets = self.options.secrets.get();
        let secrets = secrets.expose_secret().split_whitespace();
        secrets.map(SecretString::from).collect()
    }

    /// Writes the place down, if it is another one and the last one was written long enough ago.
    fn keep_place(&mut self) -> Result<(), SinkError> {
        let now_us = self.clock.monotonic_us();
        let is_due = now_us.saturating_sub(self.written_us) >= WEBHOOK_PLACE_MS * 1000;
        if self.at == self.written || !is_due {
            return Ok(());
        }
        self.written_us = now_us;
        self.write_place()
    }

    fn write_place(&mut self) -> Result<(), SinkError> {
        if let Some(at) = self.at {
            self.place.write(at)?;
            self.written = self.at;
        }
        Ok(())
    }

    /// Returns the place up to which other servers have told it everything, where that is farther than `own` and the journal has that record.
    fn told_by_others(&self, own: Watermark) -> Option<Watermark> {
        let told = self.options.begins_behind;
        let lsn = told.filter(|&told| told > own.lsn)?;
        let source = RecordSource::resting(Arc::clone(&self.disk), &self.dir, lsn);
        // Where it cannot be read, the journal is read from its own place on, and says why.
        let found = source.with_record(lsn, &mut fingerprint).ok().flatten();
        found.map(|fingerprint| Watermark { lsn, fingerprint })
    }

    /// Returns the watermark of the record `lsn`, or of the first place that the journal still has behind it.
    fn begin_at(&self, source: &RecordSource, lsn: Lsn) -> Result<Watermark, SinkError> {
        let found = source.with_record(lsn, &mut fingerprint)?;
        if let Some(fingerprint) = found {
            return Ok(Watermark { lsn, fingerprint });
        }
        let first = journal::first_lsn(source.disk(), source.dir())?;
        let oldest = first.map_or(Lsn::ZERO, |first| Lsn(first.0.saturating_sub(1)));
        Ok(Watermark {
            lsn: oldest.max(lsn).min(source.durable()),
            fingerprint: 0,
        })
    }
}

fn switched_off() -> SinkError {
    SinkError::Refused(
        "it answered 410 Gone: it is switched off until the next start of the server".into(),
    )
}

impl Sink for WebhookSink {
    type Batch = WebhookBatch;

    fn name(&self) -> &'static str {
        "Webhook"
    }

    fn address(&self) -> String {
        format!("{} ({})", self.options.number, self.options.url.origin())
    }

    fn remedy(&self) -> &'static str {
        ". Remove the file of its place (webhook-…), beside the journal, to have it begin with what happens from then on"
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(WEBHOOK_PACE_MS)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        if self.is_off {
            return Err(switched_off());
        }
        self.retry.check(self.clock.monotonic_us())?;
        if self.at.is_none() {
            self.written = self.place.read()?;
            let begin = |own| self.told_by_others(own).unwrap_or(own);
            self.at = self.written.map(begin);
        }
        Ok(self.at.unwrap_or(Watermark::ZERO))
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        self.keep_place()?;
        Ok(self.at.unwrap_or(Watermark::ZERO))
    }

    async fn start_over(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        _held: Lsn,
        _progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        let address = self.address();
        // A place that is 0 was noted before the first record.
        let is_new = self.at.is_none();
        let behind = match is_new {
            true => self.options.begins_behind.unwrap_or(source.durable()),
            false => found.lsn,
        };
        let begun = self.begin_at(source, behind)?;
        let (last, lsn) = (found.lsn.0, begun.lsn.0);
        if is_new {
            tracing::info!(address, lsn, "Webhook {address} begins behind this record");
        } else if begun.lsn > found.lsn {
            tracing::error!(
                address,
                last,
                lsn,
                "Webhook {address} goes on behind a gap: the journal no longer has the events in between"
            );
        }
        self.at = Some(begun);
        self.write_place()?;
        Ok(begun)
    }

    fn batch(&self) -> WebhookBatch {
        WebhookBatch::new(Rc::clone(&self.writer), Arc::clone(&self.options))
    }

    async fn apply(
        &mut self,
        batch: WebhookBatch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        if self.at != Some(from) {
            return Err(SinkError::Moved);
        }
        if from == to {
            let why = "what an ended sale consisted of cannot be read at the moment";
            return Err(SinkError::Unavailable(why.into()));
        }
        if batch.has_events() {
            self.deliver(batch).await?;
        }
        self.at = Some(to);
        self.keep_place()
    }
}

impl Drop for WebhookSink {
    fn drop(&mut self) {
        if self.at != self.written
            && let Err(error) = self.write_place()
        {
            tracing::warn!("Webhook {}: {error}", self.address());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{OsEntropy, SimulatedDisk, SystemClock};
    use crate::events::{EventFilter, EventSales, EventSource};
    use crate::sale::Archive;
    use crate::sale::test_engine::engine_with_a_sale_on;
    use crate::types::WebhookUrl;

    /// An endpoint whose own place is `own`, and which others have told everything up to `told`: where it begins.
    fn begins_at(own: Option<u64>, told: Option<u64>) -> u64 {
        let disk = SimulatedDisk::new();
        let (engine, _, sale) = engine_with_a_sale_on(disk.clone());
        engine.close_sale(sale.id()).expect("a sale").expect("open");
        engine.flush().expect("the disk works");
        let journal = engine.journal();
        assert_eq!(journal.durable(), Lsn(2));
        let archive = Archive::start(Arc::clone(&engine), None).expect("a thread");
        let sales = EventSales::new(Arc::clone(&engine), Arc::new(archive));
        let source = RecordSource::new(Arc::clone(journal), false);
        let mut sink = WebhookSink::new(WebhookParts {
            options: WebhookOptions {
                number: 1,
                url: WebhookUrl::parse("https://shop.example/").expect("an address"),
                secrets: "whsec_x".into(),
                filter: EventFilter::default(),
                allows_private: false,
                authorities: None,
                begins_behind: told.map(Lsn),
            },
            writer: EventWriter::new(EventSource::passing(&OsEntropy), sales),
            disk: Arc::new(disk),
            dir: journal.dir().to_owned(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        });
        let at = |lsn| {
            let found = source.with_record(Lsn(lsn), &mut fingerprint);
            Watermark {
                lsn: Lsn(lsn),
                fingerprint: found.expect("readable").unwrap_or_default(),
            }
        };
        if let Some(own) = own {
            sink.place.write(at(own)).expect("room");
        }
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a runtime");
        let found = runtime.block_on(sink.open()).expect("readable");
        if found != Watermark::ZERO {
            assert_eq!(found, at(found.lsn.0));
            return found.lsn.0;
        }
        let clock = Arc::new(SystemClock::new());
        let mut progress = CatchUpProgress::new("Webhook", clock);
        let begun = sink.start_over(&source, found, Lsn::ZERO, &mut progress);
        runtime.block_on(begun).expect("readable").lsn.0
    }

    #[test]
    fn an_endpoint_is_not_told_again_what_another_server_has_told_it() {
        assert_eq!(begins_at(Some(1), Some(2)), 2);
        assert_eq!(begins_at(Some(2), Some(1)), 2);
        assert_eq!(begins_at(Some(1), None), 1);
        // Farther than this journal has come.
        assert_eq!(begins_at(Some(1), Some(3)), 1);
    }

    #[test]
    fn an_endpoint_of_which_nothing_is_known_is_told_everything() {
        assert_eq!(begins_at(None, Some(0)), 0);
        assert_eq!(begins_at(None, Some(1)), 1);
        // Without others it is new.
        assert_eq!(begins_at(None, None), 2);
    }
}
