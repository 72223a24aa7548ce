//! A run in figures: what is printed, written as JSON, and drawn.

mod charts;
mod host;
mod html;
mod plot;
mod rows;
mod summary;
mod tables;
mod text;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flashsale::telemetry::hgrm;
use flashsale::types::Timestamp;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::answer::{Class, Kind};
use super::audit::Audit;
use super::cpu::Cpu;
use super::outcome::Outcome;
use super::plan::{Plan, Sale};
pub use host::Host;
pub use rows::{Latency, OutcomeCount, Percentiles, SecondRow, UnknownAnswer, Windows};

/// The version of this form of a report.
const VERSION: u32 = 1;

/// A run in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// From there to the last answer.
    pub elapsed_seconds: f64,
    /// Whether the figures say something about the server.
    pub valid: bool,
    /// Why they do not.
    pub invalid: Vec<String>,
    /// Whether the books are right.
    pub audit_passed: bool,
    /// What was compared for that.
    pub audit: Audit,
    /// What was to be done.
    pub plan: Plan,
    /// The sale, as it was before everything.
    pub sale: Sale,
    /// Where.
    pub host: Host,
    /// Counts of the whole run.
    pub totals: Totals,
    /// Answers by status and code.
    pub outcomes: Vec<OutcomeCount>,
    /// Answers that the interface does not describe.
    pub unknown: Vec<UnknownAnswer>,
    /// Latencies of each kind of request, of all, and of whole journeys.
    pub latency: Vec<Latency>,
    /// What the generator itself was late with its requests.
    pub lateness_us: Percentiles,
    /// Second by second.
    pub seconds: Vec<SecondRow>,
    /// The 99th percentile in windows of some seconds.
    pub windows_p99_us: Windows,
    /// What the generator cost.
    pub client_cpu: Cpu,
    /// What the run cost the server.
    pub server_cpu: Option<Cpu>,
    /// The server's memory at the end, in kibibytes.
    pub server_resident_kib: Option<u64>,
    /// All latencies, for the curves.
    #[serde(skip)]
    curves: Curves,
}

/// Counts of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Arrivals that were due.
    pub planned: u64,
    /// Requests sent.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Answers a second.
    pub answers_per_second: f64,
    /// Answers that gave what was asked for.
    pub ok: u64,
    /// Refusals that the interface describes.
    pub refused: u64,
    /// Other answers.
    pub errors: u64,
    /// Connections that ended before the answer.
    pub disconnected: u64,
    /// Requests that were not answered in time.
    pub timed_out: u64,
    /// Responses that were none.
    pub malformed: u64,
    /// Arrivals that were given up.
    pub not_sent: u64,
    /// Requests that the generator sent late.
    pub late: u64,
    /// The same in percent of those sent.
    pub late_percent: f64,
    /// Connections opened again.
    pub reconnected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// Units sold according to the answers.
    pub units_sold: u64,
}

/// The latencies of all requests, in nanoseconds.
#[derive(Clone, Debug)]
struct Curves {
    corrected_ns: Histogram<u64>,
    service_ns: Histogram<u64>,
}

impl Report {
    /// The figures of a run.
    #[must_use]
    pub fn new(outcome: &Outcome, audit: Audit) -> Self {
        let invalid: Vec<String> = outcome.invalid().iter().map(ToString::to_string).collect();
        let curves = Curves {
            corrected_ns: all(&outcome.record.corrected_ns),
            service_ns: all(&outcome.record.service_ns),
        };
        let started = outcome
            .started_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started = Timestamp(i64::try_from(started.as_micros()).unwrap_or(i64::MAX));
        Self {
            version: VERSION,
            started_at: Timestamp::from_seconds(started.seconds()).to_string(),
            elapsed_seconds: outcome.elapsed.as_secs_f64(),
            valid: invalid.is_empty(),
            invalid,
            audit_passed: audit.passed(),
            audit,
            plan: outcome.plan.clone(),
            sale: outcome.sale,
            host: Host::this(),
            totals: Totals::of(outcome),
            outcomes: rows::outcomes(&outcome.record),
            unknown: rows::unknown(&outcome.record),
            latency: rows::latencies(&outcome.record, &curves),
            lateness_us: Percentiles::of(&outcome.record.lateness_ns),
            seconds: outcome.seconds.iter().map(SecondRow::of).collect(),
            windows_p99_us: Windows::of(&outcome.seconds, &outcome.plan),
            client_cpu: outcome.client_cpu,
            server_cpu: outcome.server_cpu,
            server_resident_kib: outcome.server_resident_kib,
            curves,
        }
    }

    /// Prints what a person wants to know.
    ///
    /// # Errors
    /// The output is gone.
    pub fn summarize(&self, out: &mut dyn Write) -> io::Result<()> {
        summary::write(self, out)
    }

    /// Prints all of it as one line of JSON.
    ///
    /// # Errors
    /// The output is gone.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// The page that shows it.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// Writes `result.json`, `corrected.hgrm`, `service.hgrm` and `report.html` into `dir`, which is made
    /// where it is missing.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_files(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("result.json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(dir.join("report.html"), self.html())?;
        let curves = [
            ("corrected.hgrm", &self.curves.corrected_ns),
            ("service.hgrm", &self.curves.service_ns),
        ];
        for (name, histogram) in curves {
            let mut file = BufWriter::new(File::create(dir.join(name))?);
            hgrm::write(histogram, &mut file)?;
            file.flush()?;
        }
        Ok(())
    }
}

impl Totals {
    fn of(outcome: &Outcome) -> Self {
        let record = &outcome.record;
        Self {
            planned: record.planned,
            sent: record.sent,
            answered: record.answered(),
            answers_per_second: outcome.answers_per_second(),
            ok: record.of_class(Class::Ok),
            refused: record.of_class(Class::Refused),
            errors: record.of_class(Class::Error),
            disconnected: record.lost.disconnected,
            timed_out: record.lost.timed_out,
            malformed: record.lost.malformed,
            not_sent: record.not_sent,
            late: record.late,
            late_percent: record.late_percent(),
            reconnected: record.reconnected,
            connect_failed: record.connect_failed,
            units_sold: record.receipts.units_sold(),
        }
    }
}

fn all(kinds: &[Histogram<u64>; Kind::ALL.len()]) -> Histogram<u64> {
    let mut all = kinds[0].clone();
    for kind in &kinds[1..] {
        all.add(kind).expect("the same bounds");
    }
    all
}
