//! Spans of sampled requests to sell: route, outcome, and times of the stages.

use smallvec::SmallVec;

use super::Api;
use super::answer::Answer;
use super::stopwatch::Stopwatch;
use crate::telemetry::spans::{self, Finished, KeyValue, SpanKind};
use crate::telemetry::{Route, Stage};

/// The stages of one request, with their times in nanoseconds.
pub(super) type Laps = SmallVec<[(Stage, u64); 3]>;

impl Api {
    /// Exports a span of an answered request, if it sells and is sampled.
    pub(super) fn trace(&self, route: Route, answer: &Answer, watch: &Stopwatch<'_>) {
        if matches!(route, Route::Checkout | Route::Purchase) && spans::is_sampled() {
            self.span(route, answer, watch).hand_on();
        }
    }

    fn span(&self, route: Route, answer: &Answer, watch: &Stopwatch<'_>) -> Finished {
        let status = answer.response.status();
        let path = format!("/{}", route.as_str());
        let mut attributes = vec![
            KeyValue::new("http.route", path.clone()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("flashsale.outcome", answer.outcome.as_str()),
        ];
        for &(stage, took_ns) in watch.laps() {
            let name = format!("flashsale.stage.{}_us", stage.as_str());
            attributes.push(KeyValue::new(name, took_ns as f64 / 1e3));
        }
        Finished {
            name: format!("POST {path}"),
            kind: SpanKind::Server,
            ended_at: self.engine.clock().now(),
            took_ns: watch.total_ns(),
            failed: status.is_server_error(),
            attributes,
        }
    }
}
