//! The result of a run: a page to read, and the data of every turn.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::case::Case;
use super::findings::{Finding, Table};
use super::host::Host;
use super::round::Round;
use super::table;

/// A row, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The row.
    pub case: &'static Case,
    /// All rounds.
    pub rounds: Vec<Round>,
    /// What they say.
    pub findings: Vec<Finding>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Report {
    /// On what.
    pub host: Host,
    /// What a reader has to know besides: what was left out, and why.
    pub notes: Vec<String>,
    /// Rounds of each row.
    pub rounds: usize,
    /// Length of a turn.
    pub seconds: u32,
    /// The rows so far.
    pub measured: Vec<Measured>,
}

/// The report for machines.
#[derive(Serialize)]
struct Raw<'a> {
    host: &'a Host,
    notes: &'a [String],
    seconds: u32,
    findings: Vec<&'a Finding>,
    rounds: Vec<&'a Round>,
}

impl Report {
    /// Whether all bars are met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.findings().all(Finding::is_met)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.measured.iter().flat_map(|it| &it.findings)
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let Self {
            host,
            rounds,
            seconds,
            ..
        } = self;
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("- {note}\n"))
            .collect();
        let tables: String = [
            (Table::UsualDesigns, "Beside the usual designs"),
            (Table::Floor, "Beside the floor of a durable answer"),
            (Table::BareHyper, "Beside bare hyper, and itself"),
        ]
        .iter()
        .map(|&(table, title)| self.table(table, title))
        .collect();
        let figures = table::figures(self.measured.iter());
        format!(
            "# flashsale beside others\n\n\
             {date}, {cpu}, {cores} cores, Linux {kernel}, governor: {governor}, commit {commit}.\n\n\
             ```console\n$ {command}\n```\n\n\
             {rounds} rounds, turns of {seconds} s after a warm-up of half a second. In a round all who are in a row are\n\
             started afresh and asked one after the other, beginning with another one each time, by two threads on the\n\
             same cores. A ratio is of two turns of the same round; shown is the median of all rounds (smallest to largest)\n\
             and what it has to be.\n\n\
             {tables}{notes}\n\
             ## What was measured\n\n\
             Median of all rounds (smallest to largest). Latencies from sending to the whole answer, at half the rate from\n\
             the moment at which the request was due. CPU time is that of all processes of a contestant, its database\n\
             included. \"commit\" is a write and its sync as the server sees it; \"fdatasync\" is one of 4 KiB, by itself,\n\
             before the turns of the round.\n\n\
             {figures}",
            date = host.date,
            cpu = host.cpu,
            cores = host.cores,
            kernel = host.kernel,
            governor = host.governor,
            commit = host.commit,
            command = host.command,
        )
    }

    /// Returns a table with its title; empty without rows.
    fn table(&self, table: Table, title: &str) -> String {
        let mut findings = self.findings().filter(|it| it.table == table).peekable();
        if findings.peek().is_none() {
            return String::new();
        }
        let rows = match table {
            Table::UsualDesigns => table::usual_designs(findings),
            _ => table::ratios(findings),
        };
        format!("## {title}\n\n{rows}\n")
    }

    /// Writes `README.md` and `turns.json` into `dir`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let raw = Raw {
            host: &self.host,
            notes: &self.notes,
            seconds: self.seconds,
            findings: self.findings().collect(),
            rounds: self.measured.iter().flat_map(|it| &it.rounds).collect(),
        };
        let turns = serde_json::to_string_pretty(&raw)? + "\n";
        for (name, text) in [("README.md", self.page()), ("turns.json", turns)] {
            let path = dir.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Makes the directory of a run: the one that is named, or a new one for today and this machine.
///
/// # Errors
/// It cannot be made.
pub fn make_directory(named: Option<&Path>, host: &Host) -> Result<PathBuf> {
    let dir = named.map_or_else(|| unused(host), Path::to_owned);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn unused(host: &Host) -> PathBuf {
    let perf = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| "perf".into(), PathBuf::from);
    let day = host.date.split('T').next().unwrap_or_default();
    let name = format!("{day}-{}", host.name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    let free = names.find(|name| !perf.join("runs").join(name).exists());
    perf.join("runs").join(free.unwrap_or(name))
}
