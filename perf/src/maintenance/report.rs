//! What a run says: two lines and a table to read, and every second in JSON.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Measured;
use super::figures::{self, Group, Ratios, Second};
use super::memory::{self, SnapshotMemory};
use super::observer::Sample;
use super::task::{Kind, Task};
use crate::compare::host::Host;
use crate::json_file;

/// Seconds without maintenance that are enough for a comparison.
const OTHERS_MIN: usize = 10;

/// A run.
#[derive(Serialize)]
pub struct Report {
    host: Host,
    /// What makes the run say nothing about the server; empty when it is valid.
    invalid: Vec<String>,
    /// What was asked for and failed.
    failed: Vec<String>,
    with_maintenance: Option<Group>,
    others: Option<Group>,
    ratios: Option<Ratios>,
    kinds: Vec<Row>,
    snapshots: Vec<SnapshotMemory>,
    /// Resident memory of a server that remembers nothing.
    empty_kib: u64,
    tasks: Vec<Task>,
    seconds: Vec<Second>,
    samples: Vec<Sample>,
}

/// A kind of maintenance.
#[derive(Serialize)]
struct Row {
    kind: Kind,
    tasks: usize,
    group: Group,
    /// Nothing where every second has maintenance.
    ratios: Option<Ratios>,
}

impl Report {
    /// Calculates everything.
    #[must_use]
    pub(super) fn new(host: Host, measured: &Measured, empty_kib: u64) -> Self {
        let Measured {
            outcome,
            tasks,
            failed,
            samples,
        } = measured;
        let seconds = figures::seconds(&outcome.seconds, tasks);
        let others = Group::of(&seconds, |it| it.maintenance.is_empty());
        let with_maintenance = Group::of(&seconds, |it| !it.maintenance.is_empty());
        let ratios = |group: &Group| others.as_ref().map(|others| Ratios::of(group, others));
        let row = |kind: Kind| {
            let group = Group::of(&seconds, |it| it.maintenance.contains(&kind))?;
            Some(Row {
                kind,
                tasks: tasks.iter().filter(|it| it.kind == kind).count(),
                ratios: ratios(&group),
                group,
            })
        };
        Self {
            host,
            invalid: outcome.invalid().iter().map(ToString::to_string).collect(),
            failed: failed.clone(),
            ratios: with_maintenance.as_ref().and_then(ratios),
            kinds: Kind::ALL.into_iter().filter_map(row).collect(),
            snapshots: memory::of_snapshots(tasks, samples, empty_kib),
            empty_kib,
            with_maintenance,
            others,
            tasks: tasks.clone(),
            samples: samples.clone(),
            seconds,
        }
    }

    /// Writes `maintenance.json` into `dir`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        json_file::write(dir, "maintenance.json", self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if cfg!(debug_assertions) {
            writeln!(f, "not built with --release: the figures mean nothing")?;
        }
        for reason in &self.invalid {
            writeln!(f, "not valid: {reason}")?;
        }
        for what in &self.failed {
            writeln!(f, "failed: {what}")?;
        }
        match (&self.with_maintenance, &self.others, &self.ratios) {
            (Some(busy), Some(others), Some(ratios)) => writeln!(
                f,
                "maintenance: {} s with, {} s without; p99 {:.2} ms against {:.2} ms, {:.2} x (at most 1.25 x); worst p99 {:.2} \
                 against {:.2} ms, {:.2} x; {:.0} requests/s against {:.0}, {:.2} x (at least 0.95 x) {}",
                busy.seconds,
                others.seconds,
                busy.p99_ms.median,
                others.p99_ms.median,
                ratios.p99,
                busy.p99_ms.max,
                others.p99_ms.max,
                ratios.p99_worst,
                busy.requests_per_second,
                others.requests_per_second,
                ratios.requests_per_second,
                sign(ratios.is_met()),
            )?,
            _ => writeln!(
                f,
                "maintenance: there are no seconds with it, or none without, to compare"
            )?,
        }
        let others = self.others.as_ref().map_or(0, |others| others.seconds);
        if others < OTHERS_MIN {
            writeln!(
                f,
                "so few seconds without maintenance ({others}) say little: give more --seconds, or a faster disk"
            )?;
        }
        self.memory_line(f)?;
        writeln!(
            f,
            "\n| maintenance | tasks | seconds | p99, median (smallest to largest), ms | p99, ratio | worst, ratio | requests/s | ratio |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
        for row in &self.kinds {
            row_line(
                f,
                &row.kind.to_string(),
                Some(row.tasks),
                &row.group,
                row.ratios.as_ref(),
            )?;
        }
        match &self.others {
            Some(others) => row_line(f, "none", None, others, None),
            None => Ok(()),
        }
    }
}

impl Report {
    /// The snapshot that took most for its state.
    fn memory_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self
            .snapshots
            .iter()
            .max_by(|a, b| a.ratio.total_cmp(&b.ratio));
        let Some(most) = most else {
            return writeln!(f, "memory of a snapshot: none was written");
        };
        writeln!(
            f,
            "memory of a snapshot: at most {:.2} x the state's (at most 1.3 x) {}: resident {:.0} MiB before, {:.0} MiB at the peak, \
             {:.0} MiB of that new users; the state had {:.0} MiB, which is what was resident before but for the {:.0} MiB of an empty \
             server; {} in all",
            most.ratio,
            sign(most.is_met()),
            most.before,
            most.peak,
            most.growth,
            most.state,
            self.empty_kib as f64 / 1024.0,
            self.snapshots.len(),
        )
    }
}

fn row_line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    tasks: Option<usize>,
    group: &Group,
    ratios: Option<&Ratios>,
) -> fmt::Result {
    let ratio =
        |of: fn(&Ratios) -> f64| ratios.map_or_else(String::new, |it| format!("{:.2}", of(it)));
    writeln!(
        f,
        "| {name} | {} | {} | {} | {} | {} | {:.0} | {} |",
        tasks.map_or_else(String::new, |it| it.to_string()),
        group.seconds,
        group.p99_ms,
        ratio(|it| it.p99),
        ratio(|it| it.p99_worst),
        group.requests_per_second,
        ratio(|it| it.requests_per_second),
    )
}

fn sign(is_met: bool) -> char {
    if is_met { '✓' } else { '✗' }
}
