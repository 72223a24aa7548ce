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
use std::time::{Duration, UNIX_EPOCH};

use flashsale::telemetry::{Outcome as Label, hgrm, hlog};
use flashsale::types::Timestamp;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::answer::Class;
use super::audit::Audit;
use super::cpu::Cpu;
use super::goals::Goal;
use super::latencies::{Answers, Latencies};
use super::outcome::Outcome;
use super::plan::{Mode, Plan, Sale};
use super::record::NotSent;
pub use host::Host;
pub use rows::{Latency, OutcomeRow, Percentiles, SecondRow, UnknownAnswer, Windows};

/// The version of this form of a report.
const VERSION: u32 = 2;

/// A run in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The beginning of the run, RFC 3339.
    pub started_at: String,
    /// From there to the last answer.
    pub elapsed_seconds: f64,
    /// The figures say something about the server.
    pub valid: bool,
    /// Why they do not.
    pub invalid: Vec<String>,
    /// The books are right.
    pub audit_passed: bool,
    /// The comparisons of the audit.
    pub audit: Audit,
    /// The plan of the run.
    pub plan: Plan,
    /// The sale, as it was before everything.
    pub sale: Sale,
    /// The address of the server.
    pub host: Host,
    /// Counts of the whole run.
    pub totals: Totals,
    /// Why a closed loop ended before its time.
    pub ended_early: Option<String>,
    /// Goals for the latencies, and what came of them.
    pub goals: Vec<Goal>,
    /// All goals were met.
    pub goals_met: bool,
    /// Answers by outcome, with their latencies.
    pub outcomes: Vec<OutcomeRow>,
    /// Answers that the interface does not describe.
    pub unknown: Vec<UnknownAnswer>,
    /// Latencies of each kind of request, of each class of answers, of all, and of whole journeys.
    pub latency: Vec<Latency>,
    /// Delays of the generator's own requests.
    pub lateness_us: Percentiles,
    /// Second by second.
    pub seconds: Vec<SecondRow>,
    /// The 99th percentile in windows of some seconds.
    pub windows_p99_us: Windows,
    /// The CPU time of the generator.
    pub client_cpu: Cpu,
    /// The CPU time of the server.
    pub server_cpu: Option<Cpu>,
    /// The server's memory at the end, in kibibytes.
    pub server_resident_kib: Option<u64>,
    /// All latencies, for the curves.
    #[serde(skip)]
    all: Latencies,
    /// The latencies of each outcome, for the files.
    #[serde(skip)]
    answers: Answers,
    #[serde(skip)]
    began_at: Timestamp,
}

/// Counts of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Arrivals that were due.
    pub planned: u64,
    /// Journeys that were begun: the arrivals that were sent.
    pub begun: u64,
    /// Requests sent.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Answers a second.
    pub answers_per_second: f64,
    /// Answers a second that gave what was asked for.
    pub ok_per_second: f64,
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
    /// Arrivals that were not sent, by cause.
    pub not_sent: NotSent,
    /// Journeys that ended early because the server closed the connection.
    pub cut_short: u64,
    /// Requests that the generator sent late.
    pub late: u64,
    /// Late requests in percent of those sent.
    pub late_percent: f64,
    /// Connections opened again.
    pub reconnected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// Units sold according to the answers.
    pub units_sold: u64,
}

impl Report {
    /// The figures of a run.
    #[must_use]
    pub fn new(outcome: &Outcome, audit: Audit) -> Self {
        let invalid: Vec<String> = outcome.invalid().iter().map(ToString::to_string).collect();
        let (record, mode) = (&outcome.record, outcome.plan.mode);
        let all = record.answers.all();
        let goals = outcome.plan.goals.judge(outcome);
        let started = outcome
            .started_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let began_at = Timestamp(i64::try_from(started.as_micros()).unwrap_or(i64::MAX));
        Self {
            version: VERSION,
            started_at: Timestamp::from_seconds(began_at.seconds()).to_string(),
            elapsed_seconds: outcome.elapsed.as_secs_f64(),
            valid: invalid.is_empty(),
            invalid,
            audit_passed: audit.passed(),
            audit,
            plan: outcome.plan.clone(),
            sale: outcome.sale,
            host: Host::this(),
            totals: Totals::of(outcome),
            ended_early: outcome.ended_early().map(|after| {
                format!(
                    "the run ended after {:.1} s of {:.0} s: all {} were used up",
                    after.as_secs_f64(),
                    outcome.plan.duration.as_secs_f64(),
                    outcome.plan.workload.supply()
                )
            }),
            goals_met: goals.iter().all(|goal| goal.met),
            goals,
            outcomes: rows::outcomes(record, mode),
            unknown: rows::unknown(record),
            latency: rows::latencies(record, &all, mode),
            lateness_us: Percentiles::of(&record.lateness_ns),
            seconds: outcome.seconds.iter().map(SecondRow::of).collect(),
            windows_p99_us: Windows::of(&outcome.seconds, &outcome.plan),
            client_cpu: outcome.client_cpu,
            server_cpu: outcome.server_cpu,
            server_resident_kib: outcome.server_resident_kib,
            all,
            answers: record.answers.clone(),
            began_at,
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

    /// The latencies of more than one outcome together, and of journeys.
    fn sums(&self) -> impl Iterator<Item = &Latency> {
        self.latency.iter().filter(|row| {
            let is_part = |it: &&OutcomeRow| {
                row.of == "all" || it.kind.name() == row.of || it.class.name() == row.of
            };
            row.of == "journey" || self.outcomes.iter().filter(is_part).count() > 1
        })
    }

    /// Returns whether arrivals were planned ahead, so that there are corrected latencies.
    fn is_open(&self) -> bool {
        matches!(self.plan.mode, Mode::Open { .. })
    }

    /// Writes `result.json`, `report.html`, `service.hgrm` and `service.hlog`, and in an open loop
    /// `corrected.hgrm` and `corrected.hlog`, into `dir`, which is made where it is missing.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_files(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("result.json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(dir.join("report.html"), self.html())?;
        self.write_histograms(dir, "service", |it| &it.service_ns)?;
        if self.is_open() {
            self.write_histograms(dir, "corrected", |it| &it.corrected_ns)?;
        }
        Ok(())
    }

    /// Writes all latencies as a percentile distribution, and those of each outcome as a log.
    fn write_histograms(
        &self,
        dir: &Path,
        name: &str,
        times_ns: fn(&Latencies) -> &Histogram<u64>,
    ) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(dir.join(name).with_extension("hgrm"))?);
        hgrm::write(times_ns(&self.all), &mut file)?;
        file.flush()?;
        let tagged = self.answers.iter().map(|(kind, outcome, latencies)| {
            let outcome = outcome.map_or("unknown", Label::as_str);
            (
                format!("{}.{outcome}", kind.name()),
                times_ns(latencies).clone(),
            )
        });
        let length = Duration::from_secs_f64(self.elapsed_seconds);
        let log = hlog::log(tagged, self.began_at, length);
        fs::write(dir.join(name).with_extension("hlog"), log)
    }
}

impl Totals {
    fn of(outcome: &Outcome) -> Self {
        let record = &outcome.record;
        Self {
            planned: record.planned,
            begun: record.begun,
            sent: record.sent,
            answered: record.answered(),
            answers_per_second: outcome.answers_per_second(),
            ok_per_second: outcome.ok_per_second(),
            ok: record.of_class(Class::Ok),
            refused: record.of_class(Class::Refused),
            errors: record.of_class(Class::Error),
            disconnected: record.lost.disconnected,
            timed_out: record.lost.timed_out,
            malformed: record.lost.malformed,
            not_sent: record.not_sent,
            cut_short: record.cut_short,
            late: record.late,
            late_percent: record.late_percent(),
            reconnected: record.reconnected,
            connect_failed: record.connect_failed,
            units_sold: record.receipts.units_sold(),
        }
    }
}
