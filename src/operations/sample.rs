//! One sample of the server's figures, as the event that subscribers receive once a second.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::load::WorkerLoad;
use super::replica::ReplicationSample;
use super::view::View;
use crate::env::ProcessFigures;
use crate::sale::Sale;
use crate::telemetry::JournalStatus;
use crate::telemetry::{Counts, Group, Merged, SinkFigures, SinkStatus, Window, micros, seconds};
use crate::types::Timestamp;

/// A distribution as `[bucket, count]`: bucket `b` has the latencies from `2^(b/4)` microseconds up to
/// those of the next bucket.
type Heat = Vec<(u32, u64)>;

/// Quantiles of a spectrum, with how many values must be there for each to say something.
const SPECTRUM: [(f64, u64); 12] = [
    (0.0, 1),
    (0.5, 2),
    (0.75, 4),
    (0.9, 10),
    (0.95, 20),
    (0.99, 100),
    (0.995, 200),
    (0.999, 1_000),
    (0.9995, 2_000),
    (0.9999, 10_000),
    (0.999_99, 100_000),
    (1.0, 1),
];

/// The event of one sample. Latencies are in microseconds.
#[derive(Serialize)]
pub(super) struct Sample {
    at: String,
    at_ms: i64,
    uptime_seconds: u64,
    /// Seconds since the sample before: about one.
    seconds: f64,
    sale: Option<SaleSample>,
    others: Vec<SaleSample>,
    conserved: bool,
    counts: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    heat: BTreeMap<&'static str, Heat>,
    percentiles: BTreeMap<&'static str, Percentiles>,
    spectrum: BTreeMap<&'static str, Vec<(f64, f64)>>,
    stages: BTreeMap<&'static str, Percentiles>,
    journal: JournalSample,
    sinks: BTreeMap<&'static str, SinkSample>,
    /// The webhooks, in the order of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<SinkSample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication: Option<ReplicationSample>,
    workers: Vec<WorkerLoad>,
    connections: u64,
    viewers: u64,
    resident_bytes: u64,
    open_files: u64,
}

/// An active sale.
#[derive(Serialize)]
struct SaleSample {
    id: String,
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
    /// Units that were sold, and cancelled since.
    #[serde(skip_serializing_if = "is_zero")]
    cancelled: u64,
    /// How long a payment reserves its units.
    #[serde(skip_serializing_if = "is_zero")]
    payment_seconds: u32,
    /// Payments that are under way.
    #[serde(skip_serializing_if = "is_zero")]
    paying: u64,
    rate: f64,
    started_at: String,
    ended_at: String,
    active: bool,
    /// Whether it takes no checkouts for now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
}

#[derive(Serialize)]
struct Percentiles {
    count: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Serialize)]
struct JournalSample {
    writable: bool,
    disk_full: bool,
    durable_lsn: u64,
    appended_lsn: u64,
    #[serde(flatten)]
    written: Written,
}

#[derive(Serialize)]
struct SinkSample {
    status: SinkStatus,
    lag_records: Option<u64>,
    lag_seconds: Option<u64>,
    reason: String,
}

impl SinkSample {
    fn of(figures: SinkFigures) -> Self {
        Self {
            status: figures.status,
            lag_records: figures.lag_records,
            lag_seconds: figures.lag_seconds,
            reason: figures.reason,
        }
    }
}

/// Amounts that the journal has written.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Written {
    batches: u64,
    records: u64,
    bytes: u64,
}

/// The totals that the journal had written at the last sample.
#[derive(Debug, Default)]
pub(super) struct LastWritten(Written);

impl LastWritten {
    /// Takes the present totals, and returns what the journal has written since the last sample.
    pub(super) fn advance(&mut self, status: &JournalStatus) -> Written {
        let now = Written {
            batches: status.batches,
            records: status.records,
            bytes: status.written_bytes,
        };
        let then = std::mem::replace(&mut self.0, now);
        Written {
            batches: now.batches.saturating_sub(then.batches),
            records: now.records.saturating_sub(then.records),
            bytes: now.bytes.saturating_sub(then.bytes),
        }
    }
}

/// Figures read once for a sample, so that no part of it contradicts another.
pub(super) struct SampleInput<'a> {
    /// All counts since the start.
    pub(super) now: &'a Merged,
    /// The counts since the last sample.
    pub(super) between: Merged,
    /// The time since the last sample, in microseconds.
    pub(super) passed_us: u64,
    /// The active sales, the one that began last first.
    pub(super) sales: Vec<Arc<Sale>>,
    /// The rate of each of them, in units sold per second.
    pub(super) rates: Vec<f64>,
    /// The journal's status.
    pub(super) journal: JournalStatus,
    /// The amounts that the journal has written since the last sample.
    pub(super) written: Written,
    /// The replication; `None` where there is none.
    pub(super) replication: Option<ReplicationSample>,
}

impl Sample {
    pub(super) fn new(view: &View, input: SampleInput<'_>) -> Self {
        let (at, process) = (view.now(), ProcessFigures::read());
        let recent = view.window_of(Window::TenSeconds, input.now).counts;
        let whole = view.window_of(Window::Sale, input.now).counts;
        let sales = input.sales.iter().zip(input.rates);
        let mut sales = sales.map(|(sale, rate)| SaleSample::of(sale, rate));
        Self {
            at: Timestamp::from_seconds(at.seconds()).to_string(),
            at_ms: at.0.div_euclid(1000),
            uptime_seconds: view.uptime_seconds(),
            seconds: seconds(input.passed_us),
            sale: sales.next(),
            others: sales.collect(),
            conserved: view.are_all_conserved(),
            counts: counts(&input.between),
            heat: by_group(&input.between, heat),
            percentiles: by_group(&recent, Percentiles::of),
            spectrum: by_group(&whole, spectrum),
            stages: recent
                .stages()
                .map(|(stage, counts)| (stage.as_str(), Percentiles::of(counts)))
                .collect(),
            journal: JournalSample {
                writable: input.journal.writable,
                disk_full: input.journal.disk_full,
                durable_lsn: input.journal.durable_lsn,
                appended_lsn: input.journal.appended_lsn,
                written: input.written,
            },
            sinks: view
                .sinks()
                .into_iter()
                .map(|(sink, figures)| (sink.key(), SinkSample::of(figures)))
                .collect(),
            webhooks: view.webhooks().into_iter().map(SinkSample::of).collect(),
            replication: input.replication,
            workers: view.load_of_last_second(),
            connections: view.connections().open,
            viewers: view.viewers(),
            resident_bytes: process.resident_bytes,
            open_files: process.open_fds,
        }
    }
}

fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

impl SaleSample {
    fn of(sale: &Sale, rate: f64) -> Self {
        let figures = sale.figures();
        Self {
            id: sale.id().to_string(),
            total: figures.total,
            sold: figures.sold,
            held: figures.held,
            free: figures.free(),
            cancelled: sale.units_cancelled(),
            payment_seconds: sale.terms().payment.seconds,
            paying: sale.payments_under_way(),
            rate,
            started_at: sale.terms().started_at.to_string(),
            ended_at: sale.ended_at().to_string(),
            active: true,
            paused: sale.is_paused(),
        }
    }
}

impl Percentiles {
    fn of(counts: &Counts) -> Self {
        let quantiles = counts.at_quantiles([0.5, 0.9, 0.99, 0.999]);
        let [p50, p90, p99, p999] = quantiles.map(micros);
        Self {
            count: counts.count(),
            p50,
            p90,
            p99,
            p999,
            max: micros(counts.max()),
        }
    }
}

fn counts(between: &Merged) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let mut routes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (route, outcome, counts) in between.requests() {
        let outcomes = routes.entry(route.as_str()).or_default();
        outcomes.insert(outcome.as_str(), counts.count());
    }
    routes
}

/// Maps each group with any counts by `map`.
fn by_group<T>(merged: &Merged, map: impl Fn(&Counts) -> T) -> BTreeMap<&'static str, T> {
    let groups = Group::ALL
        .iter()
        .map(|&group| (group.as_str(), merged.group(group)));
    let counted = groups.filter(|(_, counts)| !counts.is_empty());
    counted.map(|(name, counts)| (name, map(&counts))).collect()
}

fn heat(counts: &Counts) -> Heat {
    let mut heat: Heat = Vec::new();
    for (ns, count) in counts.filled() {
        let us = (ns as f64 / 1e3).max(1.0);
        let bucket = (4.0 * us.log2()) as u32;
        match heat.last_mut() {
            Some((last, sum)) if *last == bucket => *sum += count,
            _ => heat.push((bucket, count)),
        }
    }
    heat
}

fn spectrum(counts: &Counts) -> Vec<(f64, f64)> {
    let count = counts.count();
    let values = counts.at_quantiles(SPECTRUM.map(|(quantile, _)| quantile));
    let points = SPECTRUM.into_iter().zip(values);
    let meaningful = points.filter(|((_, needed), _)| count >= *needed);
    meaningful
        .map(|((quantile, _), ns)| (quantile, micros(ns)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Recorder;

    fn recorded(values_ns: impl IntoIterator<Item = u64>) -> Counts {
        let recorder = Recorder::default();
        values_ns.into_iter().for_each(|ns| recorder.record(ns));
        recorder.read()
    }

    #[test]
    fn heat_is_in_quarters_of_doublings() {
        let counts = recorded([5, 900, 1_000, 2_100, 2_100, 1_048_576_000]);
        assert_eq!(heat(&counts), [(0, 3), (4, 2), (80, 1)]);
    }

    #[test]
    fn a_spectrum_ends_where_the_values_do() {
        let few = spectrum(&recorded([1_000; 10]));
        let quantiles: Vec<_> = few.iter().map(|(quantile, _)| *quantile).collect();
        assert_eq!(quantiles, [0.0, 0.5, 0.75, 0.9, 1.0]);
        let many = spectrum(&recorded((0..100_000).map(|value| value * 1_000)));
        assert_eq!(many.len(), SPECTRUM.len());
        assert!(many.is_sorted_by(|a, b| a.1 <= b.1), "{many:?}");
    }

    #[test]
    fn only_groups_that_occurred_are_reported() {
        assert!(by_group(&Merged::default(), Counts::count).is_empty());
    }
}
