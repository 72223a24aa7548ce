//! The result of a run: a table to read, and every turn.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::turn::Turn;
use crate::compare::host::Host;
use crate::compare::statistics::Spread;

/// The most that the time to the last answer may be, as a multiple of bare hyper's.
const RATIO_MAX: f64 = 1.5;

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine.
    pub host: Host,
    /// Conditions that a reader has to know.
    pub notes: Vec<String>,
    /// Clients of each turn.
    pub clients: usize,
    /// The server's turn and bare hyper's, of each round.
    pub turns: Vec<[Turn; 2]>,
}

/// The report for machines.
#[derive(Serialize)]
struct Raw<'a> {
    #[serde(flatten)]
    report: &'a Report,
    last_answer_ratio: Option<Spread>,
    last_answer_ratio_max: f64,
    is_met: bool,
}

impl Report {
    /// Returns the server's time to the last answer as a multiple of bare hyper's, over all rounds.
    #[must_use]
    pub fn ratio(&self) -> Option<Spread> {
        let ratios = self
            .turns
            .iter()
            .map(|[server, bare]| server.last_answer_ms / bare.last_answer_ms);
        Spread::of(ratios)
    }

    /// Returns whether every client got what it came for, and the last one in time.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let is_whole = self.turns.iter().flatten().all(Turn::is_whole);
        is_whole && self.ratio().is_some_and(|ratio| ratio.median <= RATIO_MAX)
    }

    /// Returns the figures as a table in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| who | clients | bought | 5xx | resets | unanswered | too early | refused | last answer ms | p50 ms | p99 ms | CPU µs/client |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|---|---|---|---|\n",
        );
        for side in 0..2 {
            let turns = || self.turns.iter().map(move |pair| &pair[side]);
            let Some(first) = turns().next() else {
                continue;
            };
            let sum = |of: fn(&Turn) -> u64| turns().map(of).sum::<u64>();
            let spread = |of: fn(&Turn) -> f64| {
                Spread::of(turns().map(of)).map_or_else(String::new, |it| format!("{it:.0}"))
            };
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                first.contestant,
                self.clients * self.turns.len(),
                sum(|it| it.bought),
                sum(|it| it.server_errors),
                sum(|it| it.resets),
                sum(|it| it.unanswered),
                sum(|it| it.too_early),
                sum(|it| it.refused + it.malformed),
                spread(|it| it.last_answer_ms),
                spread(|it| it.p50_ms),
                spread(|it| it.p99_ms),
                spread(|it| it.cpu_us_per_client)
            );
        }
        if let Some(ratio) = self.ratio() {
            let mark = if self.is_met() { '✓' } else { '✗' };
            let _ = writeln!(
                table,
                "\nTime to the last answer beside bare hyper: {ratio} ≤ {RATIO_MAX:.2} {mark}"
            );
        }
        table
    }

    /// Writes `opening.json` into `dir`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let raw = Raw {
            report: self,
            last_answer_ratio: self.ratio(),
            last_answer_ratio_max: RATIO_MAX,
            is_met: self.is_met(),
        };
        let path = dir.join("opening.json");
        let text = serde_json::to_string_pretty(&raw)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::super::turn::Rush;
    use super::*;
    use std::time::Duration;

    fn turn(contestant: &'static str, ms: &[u64], unanswered: u64) -> Turn {
        let mut tally = Tally::default();
        for &ms in ms {
            tally.bought(Duration::from_millis(ms));
        }
        tally.unanswered = unanswered;
        let clients = ms.len() + unanswered as usize;
        let rush = Rush {
            tally,
            listen_overflows: 0,
            cpu_ns: 0,
        };
        Turn::of(contestant, 1, clients, &rush)
    }

    fn report(server: Turn, bare: Turn) -> Report {
        Report {
            host: Host::read(),
            notes: Vec::new(),
            clients: server.clients,
            turns: vec![[server, bare]],
        }
    }

    #[test]
    fn the_bar_is_met_when_all_are_answered_and_the_last_one_in_time() {
        let bare = || turn("bare hyper", &[100, 200], 0);
        let fine = report(turn("flashsale", &[100, 280], 0), bare());
        assert!(fine.is_met());
        assert!(
            fine.table().contains("1.40 (1.40–1.40) ≤ 1.50 ✓"),
            "{}",
            fine.table()
        );
        assert!(
            !report(turn("flashsale", &[100, 400], 0), bare()).is_met(),
            "late"
        );
        let lost = report(turn("flashsale", &[100, 200], 1), bare());
        assert!(!lost.is_met(), "one has no answer");
    }
}
