//! `GET /metrics`: the Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write};

use hyper::header::HeaderValue;

use super::Api;
use super::answer::Answer;
use super::health::uptime_seconds;
use crate::env::ProcessMemory;
use crate::telemetry::{SinkFigures, SinkStatus};

const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Counters and gauges of the whole process.
pub(super) fn metrics(api: &Api) -> Answer {
    let mut text = String::with_capacity(4096);
    write_requests(api, &mut text);
    write_connections(api, &mut text);
    write_stock(api, &mut text);
    write_sinks(api, &mut text);
    write_journal(api, &mut text);
    family(
        &mut text,
        "process_resident_memory_bytes",
        "gauge",
        "Memory in RAM.",
    );
    let resident_bytes = ProcessMemory::read().resident_bytes;
    sample(
        &mut text,
        "process_resident_memory_bytes",
        "",
        resident_bytes,
    );
    family(
        &mut text,
        "uptime_seconds",
        "gauge",
        "Time since the start.",
    );
    sample(&mut text, "uptime_seconds", "", uptime_seconds(api));
    Answer::shown(EXPOSITION, text)
}

fn write_journal(api: &Api, text: &mut String) {
    let journal = api.engine.journal().status();
    for (name, about, value) in [
        (
            "journal_durable_lsn",
            "Last record that is on disk.",
            journal.durable_lsn,
        ),
        (
            "journal_appended_lsn",
            "Last record that has a number.",
            journal.appended_lsn,
        ),
        (
            "journal_writable",
            "1 while the journal takes records.",
            u64::from(api.engine.journal().is_writable()),
        ),
    ] {
        family(text, name, "gauge", about);
        sample(text, name, "", value);
    }
}

fn write_requests(api: &Api, text: &mut String) {
    let name = "http_requests_total";
    family(
        text,
        name,
        "counter",
        "Answered requests by route and outcome.",
    );
    for (route, outcome, summary) in api.registry.latency().summaries() {
        let (route, outcome) = (route.as_str(), outcome.as_str());
        let labels = format!("{{route=\"{route}\",outcome=\"{outcome}\"}}");
        sample(text, name, &labels, summary.count);
    }
}

fn write_connections(api: &Api, text: &mut String) {
    let connections = api.registry.connections();
    family(
        text,
        "http_connections_open",
        "gauge",
        "Connections that are open.",
    );
    sample(text, "http_connections_open", "", connections.open);
    family(text, "sale_viewers", "gauge", "Those who watch a sale.");
    sample(text, "sale_viewers", "", api.registry.viewers());
    for (name, about, value) in [
        (
            "http_connections_accepted_total",
            "Connections opened.",
            connections.accepted,
        ),
        (
            "http_connections_refused_total",
            "Turned away: too many open.",
            connections.refused,
        ),
        (
            "http_connections_overdue_total",
            "Closed: client too slow.",
            connections.overdue,
        ),
    ] {
        family(text, name, "counter", about);
        sample(text, name, "", value);
    }
}

/// The units of every sale that is not closed.
fn write_stock(api: &Api, text: &mut String) {
    let name = "sale_stock_units";
    family(text, name, "gauge", "Units of a sale by state.");
    for sale in api.engine.open_sales() {
        let figures = sale.figures();
        let free = figures.free();
        for (state, units) in [
            ("sold", figures.sold),
            ("held", figures.held),
            ("free", free),
        ] {
            let labels = format!("{{sale=\"{}\",state=\"{state}\"}}", sale.id());
            sample(text, name, &labels, units);
        }
    }
}

/// The sinks that are configured, and how far behind the journal they are.
fn write_sinks(api: &Api, text: &mut String) {
    let sinks = api.registry.sinks();
    let (durable, now) = (api.engine.journal().durable(), api.engine.clock().now());
    let all = [("database", &sinks.database), ("redis", &sinks.redis)]
        .map(|(name, gauge)| (name, gauge.figures(durable, now)));
    let configured: Vec<_> = all
        .into_iter()
        .filter(|(_, figures)| figures.status != SinkStatus::Disabled)
        .collect();
    type Value = fn(&SinkFigures) -> Option<u64>;
    let families: [(&str, &str, &str, Value); 7] = [
        (
            "sink_up",
            "gauge",
            "1 while the sink takes what it is given.",
            |figures| Some(u64::from(figures.status == SinkStatus::Up)),
        ),
        (
            "sink_applied_lsn",
            "gauge",
            "Last record that the sink has.",
            |figures| figures.applied_lsn,
        ),
        (
            "sink_lag_records",
            "gauge",
            "Records that the sink does not have yet.",
            |figures| figures.lag_records,
        ),
        (
            "sink_lag_seconds",
            "gauge",
            "Age of the oldest of them.",
            |figures| figures.lag_seconds,
        ),
        (
            "sink_batches_total",
            "counter",
            "Batches that the sink took.",
            |figures| Some(figures.batches),
        ),
        (
            "sink_failures_total",
            "counter",
            "Attempts that failed.",
            |figures| Some(figures.failures),
        ),
        (
            "sink_rebuilds_total",
            "counter",
            "Times it was filled again from nothing.",
            |figures| Some(figures.rebuilds),
        ),
    ];
    for (name, kind, about, value) in families {
        if !configured.is_empty() {
            family(text, name, kind, about);
        }
        for (sink, figures) in &configured {
            if let Some(value) = value(figures) {
                sample(text, name, &format!("{{sink=\"{sink}\"}}"), value);
            }
        }
    }
}

// Writing into memory cannot fail.
fn family(text: &mut String, name: &str, kind: &str, about: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = writeln!(text, "{name}{labels} {value}");
}
