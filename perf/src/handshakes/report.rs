//! What a run says: a line for each kind of handshake to read, and every turn in JSON.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::client::Handshake;
use super::turn::Turn;
use super::{BARE_HYPER, SERVER};
use crate::compare::host::Host;
use crate::compare::statistics::Spread;
use crate::json_file;

/// Largest ratio of the CPU times that meets the bar.
const CPU_RATIO_MAX: f64 = 1.1;

/// A run.
#[derive(Serialize)]
pub struct Report {
    host: Host,
    findings: Vec<Finding>,
    turns: Vec<Turn>,
}

/// The server beside bare hyper, in handshakes of one kind. Ratios are of two turns of one round.
#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    handshake: Handshake,
    per_second: Spread,
    per_second_bare: Spread,
    per_second_ratio: Spread,
    cpu_us: Spread,
    cpu_us_bare: Spread,
    cpu_ratio: Spread,
}

impl Finding {
    fn of(handshake: Handshake, turns: &[Turn]) -> Option<Self> {
        let of = |label: &str| -> Vec<&Turn> {
            let is_of = |it: &&Turn| it.handshake == handshake && it.label == label;
            turns.iter().filter(is_of).collect()
        };
        let (server, bare) = (of(SERVER), of(BARE_HYPER));
        // Both have one turn a round, in this order.
        let pairs = || server.iter().zip(&bare);
        Some(Self {
            handshake,
            per_second: Spread::of(server.iter().map(|it| it.per_second))?,
            per_second_bare: Spread::of(bare.iter().map(|it| it.per_second))?,
            per_second_ratio: Spread::of(pairs().map(|(a, b)| a.per_second / b.per_second))?,
            cpu_us: Spread::of(server.iter().map(|it| it.cpu_us))?,
            cpu_us_bare: Spread::of(bare.iter().map(|it| it.cpu_us))?,
            cpu_ratio: Spread::of(pairs().map(|(a, b)| a.cpu_us / b.cpu_us))?,
        })
    }

    fn is_met(&self) -> bool {
        self.cpu_ratio.median <= CPU_RATIO_MAX
    }
}

impl Report {
    /// Calculates everything.
    #[must_use]
    pub fn new(host: Host, turns: Vec<Turn>) -> Self {
        let kinds = Handshake::ALL.into_iter();
        Self {
            host,
            findings: kinds.filter_map(|it| Finding::of(it, &turns)).collect(),
            turns,
        }
    }

    /// Writes `handshakes.json` into `dir`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        json_file::write(dir, "handshakes.json", self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if cfg!(debug_assertions) {
            writeln!(f, "not built with --release: the figures mean nothing")?;
        }
        writeln!(
            f,
            "| handshake | flashsale, per second | bare hyper | ratio | flashsale, CPU each, us | bare hyper | ratio (at most 1.10) |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|")?;
        for it in &self.findings {
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {} | {:.1} | {:.1} | {} {} |",
                it.handshake.name(),
                it.per_second,
                it.per_second_bare,
                it.per_second_ratio,
                it.cpu_us,
                it.cpu_us_bare,
                it.cpu_ratio,
                if it.is_met() { '✓' } else { '✗' }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_two_turns_of_one_round() {
        let turn = |round, handshake, label, cpu_us| Turn {
            round,
            handshake,
            label,
            connections: 100,
            per_second: 1e6 / cpu_us,
            cpu_us,
        };
        let (full, resumed) = (Handshake::Full, Handshake::Resumed);
        let turns = [
            turn(1, full, BARE_HYPER, 100.0),
            turn(1, full, SERVER, 120.0),
            turn(1, resumed, BARE_HYPER, 50.0),
            turn(1, resumed, SERVER, 50.0),
            turn(2, full, SERVER, 210.0),
            turn(2, full, BARE_HYPER, 200.0),
            turn(3, full, SERVER, 105.0),
            turn(3, full, BARE_HYPER, 100.0),
        ];
        let found = Finding::of(full, &turns).expect("turns");
        let Spread { median, min, max } = found.cpu_ratio;
        assert!((median - 1.05).abs() < 1e-9 && (min - 1.05).abs() < 1e-9);
        assert!((max - 1.2).abs() < 1e-9 && found.is_met());
        let resumed = Finding::of(resumed, &turns).expect("turns");
        assert_eq!(resumed.cpu_ratio.max, 1.0);
        assert_eq!(Finding::of(full, &[]), None);
    }
}
