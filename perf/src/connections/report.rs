//! What a run says: lines to read, and every turn in JSON.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::idle::IdleMemory;
use super::million::Million;
use super::turn::Turn;
use crate::compare::host::Host;
use crate::compare::statistics::Spread;
use crate::json_file;

/// Most kibibytes that an open connection may take.
const CONNECTION_KIB_MAX: f64 = 12.0;
/// Largest ratio of the 99th percentiles that meets the bar.
const P99_RATIO_MAX: f64 = 1.5;

/// A run.
#[derive(Serialize)]
pub struct Report {
    host: Host,
    /// Connections that were asked for.
    wanted: usize,
    /// Open files that a process may have.
    files_max: u64,
    idle: IdleMemory,
    kib_each: f64,
    million: Million,
    p99: Option<P99>,
    turns: Vec<Turn>,
}

/// The 99th percentiles of both numbers of connections, in milliseconds. The ratio is of two turns of one round.
#[derive(Debug, PartialEq, Serialize)]
struct P99 {
    few_connections: usize,
    few_ms: Spread,
    many_connections: usize,
    many_ms: Spread,
    ratio: Spread,
    /// Rounds in which one of the turns was not valid, and which do not count.
    invalid_rounds: usize,
}

impl P99 {
    /// `None` where no round counts.
    fn of(turns: &[Turn]) -> Option<Self> {
        let mut rounds = Vec::new();
        let mut invalid_rounds = 0;
        for pair in turns.chunks_exact(2) {
            match pair.iter().all(|turn| turn.invalid.is_empty()) {
                true if pair[0].connections < pair[1].connections => {
                    rounds.push((&pair[0], &pair[1]))
                }
                true => rounds.push((&pair[1], &pair[0])),
                false => invalid_rounds += 1,
            }
        }
        let &(few, many) = rounds.first()?;
        Some(Self {
            few_connections: few.connections,
            few_ms: Spread::of(rounds.iter().map(|(few, _)| few.p99_ms))?,
            many_connections: many.connections,
            many_ms: Spread::of(rounds.iter().map(|(_, many)| many.p99_ms))?,
            ratio: Spread::of(rounds.iter().map(|(few, many)| many.p99_ms / few.p99_ms))?,
            invalid_rounds,
        })
    }
}

impl Report {
    /// Calculates everything.
    #[must_use]
    pub fn new(
        host: Host,
        wanted: usize,
        files_max: u64,
        idle: IdleMemory,
        turns: Vec<Turn>,
    ) -> Self {
        Self {
            host,
            wanted,
            files_max,
            kib_each: idle.kib_each(),
            million: Million::of(&idle),
            idle,
            p99: P99::of(&turns),
            turns,
        }
    }

    /// Writes `connections.json` into `dir`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        json_file::write(dir, "connections.json", self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if cfg!(debug_assertions) {
            writeln!(f, "not built with --release: the figures mean nothing")?;
        }
        if self.idle.connections < self.wanted {
            let Self {
                wanted, files_max, ..
            } = self;
            writeln!(
                f,
                "{wanted} connections were asked for; {files_max} open files a process (ulimit -Hn) are enough for {}",
                self.idle.connections
            )?;
        }
        let sign = |is_met| if is_met { '✓' } else { '✗' };
        writeln!(
            f,
            "{} (at most {CONNECTION_KIB_MAX} KiB) {}",
            self.idle,
            sign(self.kib_each <= CONNECTION_KIB_MAX)
        )?;
        match &self.p99 {
            None => writeln!(f, "p99: no round was valid")?,
            Some(p99) => writeln!(
                f,
                "p99 of buyers: {} ms among {} connections, {} ms among {}; {} x (at most {P99_RATIO_MAX} x) {}; rounds that were not \
                 valid: {}",
                p99.many_ms,
                p99.many_connections,
                p99.few_ms,
                p99.few_connections,
                p99.ratio,
                sign(p99.ratio.median <= P99_RATIO_MAX),
                p99.invalid_rounds,
            )?,
        }
        write!(f, "{}", self.million)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_a_valid_round_whoever_began_it() {
        let turn = |round, connections, p99_ms, invalid: &[&str]| Turn {
            round,
            connections,
            requests: 1,
            p50_ms: 1.0,
            p99_ms,
            p999_ms: 9.0,
            cpu_us: None,
            invalid: invalid.iter().map(|&it| it.to_owned()).collect(),
        };
        let turns = [
            turn(1, 1000, 2.0, &[]),
            turn(1, 9000, 3.0, &[]),
            turn(2, 9000, 4.0, &[]),
            turn(2, 1000, 4.0, &[]),
            turn(3, 1000, 1.0, &["late"]),
            turn(3, 9000, 9.0, &[]),
        ];
        let p99 = P99::of(&turns).expect("two rounds");
        assert_eq!((p99.few_connections, p99.many_connections), (1000, 9000));
        assert_eq!((p99.ratio.min, p99.ratio.max), (1.0, 1.5));
        assert_eq!(p99.invalid_rounds, 1);
        assert_eq!(P99::of(&turns[4..]), None);
    }
}
