//! The result of a run: the figure, and the data of every turn.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::figure::{self, Series, milliseconds, thousands};
use super::name::Name;
use super::point::Point;
use super::rates::SHARES_PERCENT;
use super::turn::Turn;
use crate::compare::host::Host;
use crate::compare::statistics::Spread;

/// The rate of a contestant in closed loops.
#[derive(Clone, Debug, Serialize)]
pub struct Maximum {
    /// The contestant.
    #[serde(skip)]
    pub name: Name,
    /// Its name as it is shown.
    pub contestant: &'static str,
    /// Requests a second. The rates of the open loop are shares of the median.
    pub requests_per_second: Spread,
    /// The closed loops.
    pub turns: Vec<Turn>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine.
    pub host: Host,
    /// Conditions that a reader has to know.
    pub notes: Vec<String>,
    /// Rounds.
    pub rounds: usize,
    /// Length of a turn.
    pub seconds: u32,
    /// Connections to each contestant.
    pub connections: usize,
    /// The contestants, in the order in which they are shown.
    pub maxima: Vec<Maximum>,
    /// Every turn of the open loop.
    pub turns: Vec<Turn>,
}

/// The report for machines.
#[derive(Serialize)]
struct Raw<'a> {
    #[serde(flatten)]
    report: &'a Report,
    points: Vec<Point>,
}

impl Report {
    fn series(&self) -> Vec<Series<'_>> {
        let series = self.maxima.iter().map(|maximum| Series {
            name: maximum.name,
            label: maximum.contestant,
            maximum: maximum.requests_per_second.median,
            points: self.points_of(maximum.contestant),
        });
        series.collect()
    }

    fn points_of(&self, contestant: &str) -> Vec<Point> {
        let point = |share| {
            let is_of =
                |turn: &&Turn| turn.contestant == contestant && turn.share_percent == Some(share);
            let turns: Vec<_> = self.turns.iter().filter(is_of).collect();
            Point::of(&turns)
        };
        SHARES_PERCENT.into_iter().filter_map(point).collect()
    }

    /// Returns the figures as a table in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| who | of its maximum | requests/s | p50 ms | p99 ms | p99.9 ms | |\n|---|--:|--:|---|---|---|---|\n",
        );
        for one in self.series() {
            for point in &one.points {
                let cells = [point.p50_us, point.p99_us, point.p999_us].map(|spread| {
                    let [median, min, max] =
                        [spread.median, spread.min, spread.max].map(milliseconds);
                    format!("{median} ({min}–{max})")
                });
                let flaw = match point.invalid_rounds {
                    0 => String::new(),
                    invalid => format!("✗ {invalid} of {} rounds not valid", point.rounds),
                };
                let (share, rate) = (point.share_percent, thousands(point.asked_per_second));
                let _ = writeln!(
                    table,
                    "| {} | {share} % | {rate} | {} | {flaw} |",
                    one.label,
                    cells.join(" | ")
                );
            }
        }
        table
    }

    /// Returns the figure.
    #[must_use]
    pub fn figure(&self) -> String {
        let Self {
            host,
            rounds,
            seconds,
            connections,
            ..
        } = self;
        let rounds = match rounds {
            1 => format!("one round of {seconds} s"),
            rounds => format!("median of {rounds} rounds of {seconds} s"),
        };
        let subtitle = format!(
            "open loop, Poisson arrivals, {connections} connections; answered once it is on the disk (bare hyper: a constant); {rounds}"
        );
        let day = host.date.split('T').next().unwrap_or_default();
        let footer = format!(
            "{day}, {}, {} cores, which the load generator shares, Linux {}, commit {}",
            host.cpu, host.cores, host.kernel, host.commit
        );
        figure::draw(&self.series(), &subtitle, &footer)
    }

    /// Writes `curve.json` and `curve.svg` into `dir`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let raw = Raw {
            report: self,
            points: self
                .maxima
                .iter()
                .flat_map(|it| self.points_of(it.contestant))
                .collect(),
        };
        let raw = serde_json::to_string_pretty(&raw)? + "\n";
        for (name, text) in [("curve.json", raw), ("curve.svg", self.figure())] {
            let path = dir.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
