//! Traces by OpenTelemetry, sent over HTTP to whom the standard environment variables name.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::trace_endpoint::{self, variable};
use crate::env::{Clock, Entropy, OsEntropy};
use crate::limits;
use crate::telemetry::BuildInfo;
use crate::telemetry::spans::{self, Finished, SpanKind};

/// The part of the requests that have a span, unless something else is configured.
const RATIO: f64 = 0.001;

/// Sends spans on, until it is dropped: then those that wait are sent, and no more are made.
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins, if the environment says to whom. What is wrong there is no reason not to sell.
    pub(super) fn start() -> Option<Self> {
        trace_endpoint::configured()?;
        let ratio = ratio();
        match provider() {
            Ok(provider) => {
                global::set_tracer_provider(provider.clone());
                spans::sample(ratio, OsEntropy.bits_128() as u64);
                tracing::info!(ratio, "traces are exported");
                Some(Self { provider })
            }
            Err(error) => {
                tracing::error!("no traces are exported: {error}");
                None
            }
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        spans::sample(0.0, 0);
        let patience = Duration::from_secs(limits::TRACES_FLUSH_SECONDS);
        if let Err(error) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!("the last traces were not exported: {error}");
        }
    }
}

/// A part of the start that began at `since_us` of the monotonic clock, and is over, as a span.
pub(super) fn started(name: &str, clock: &dyn Clock, since_us: u64) {
    if spans::are_taken() {
        let finished = Finished {
            name: name.to_owned(),
            kind: SpanKind::Internal,
            ended_at: clock.now(),
            took_ns: clock.monotonic_us().saturating_sub(since_us) * 1000,
            failed: false,
            attributes: Vec::new(),
        };
        finished.hand_on();
    }
}

/// The part of the requests that have a span.
fn ratio() -> f64 {
    match variable("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_on" | "parentbased_always_on") => 1.0,
        Some("always_off" | "parentbased_always_off") => 0.0,
        None | Some("traceidratio" | "parentbased_traceidratio") => given_ratio(),
        Some(other) => {
            tracing::warn!(
                "OTEL_TRACES_SAMPLER={other:?}: must be always_on, always_off or traceidratio; using \
                 traceidratio"
            );
            given_ratio()
        }
    }
}

fn given_ratio() -> f64 {
    const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(value) = variable(NAME) else {
        return RATIO;
    };
    let ratio = f64::from_str(&value).ok();
    ratio
        .filter(|it| (0.0..=1.0).contains(it))
        .unwrap_or_else(|| {
            tracing::warn!("{NAME}={value:?}: must be a number from 0 to 1; using {RATIO}");
            RATIO
        })
}

fn provider() -> Result<SdkTracerProvider, ExporterBuildError> {
    // Its address and headers come from the environment.
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::default())
        .with_protocol(Protocol::HttpBinary)
        .build()?;
    let provider = SdkTracerProvider::builder()
        // Which requests have a span is decided before there is one.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource())
        .with_batch_exporter(exporter);
    Ok(provider.build())
}

/// Who we are: as the environment says, or by our own name.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", BuildInfo::TEXT);
    let builder = || Resource::builder().with_attribute(version.clone());
    let given = builder().build();
    let name = given.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    match is_named {
        true => given,
        false => builder().with_service_name("flashsale").build(),
    }
}

/// Carries spans to the collector, on the exporter's own thread.
#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    /// Whether the last attempt failed, so that each change is logged once.
    failing: AtomicBool,
}

impl Default for Client {
    fn default() -> Self {
        let timeout = Duration::from_secs(limits::TRACES_SEND_SECONDS);
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false);
        Self {
            agent: config.build().into(),
            failing: AtomicBool::new(false),
        }
    }
}

impl Client {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(head, body.as_ref()))?;
        let (head, mut body) = answer.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }

    fn note(&self, failure: Option<String>) {
        let was_failing = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(why) if !was_failing => tracing::warn!("traces cannot be exported: {why}"),
            None if was_failing => tracing::info!("traces are exported again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        Ok(answer?)
    }
}
