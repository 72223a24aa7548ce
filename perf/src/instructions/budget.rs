//! The budget: the instructions per request that the server may need.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How much more than the budget is allowed, in percent: a few times the spread between runs.
const TOLERANCE_PERCENT: u64 = 3;

/// Figures by the name of their row.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The figures of each row, in instructions per request.
    pub rows: BTreeMap<String, Figures>,
}

/// The figures of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// The server's instructions per request.
    pub flashsale: u32,
    /// Those of bare hyper, for the same request and the same length of answer.
    pub bare_hyper: u32,
}

impl Budget {
    /// Reads a budget.
    ///
    /// # Errors
    /// The file is missing, or not a budget.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// Writes the budget.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Returns a sentence for each row of `measured` whose figure is over this budget.
    ///
    /// # Errors
    /// A row is not in the budget.
    pub fn exceeded_by(&self, measured: &Self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (name, figures) in &measured.rows {
            let budget = self.rows.get(name);
            let budget = budget.with_context(|| format!("the budget has no row {name}"))?;
            let (now, before) = (u64::from(figures.flashsale), u64::from(budget.flashsale));
            if now * 100 > before * (100 + TOLERANCE_PERCENT) {
                lines.push(format!(
                    "{name} needs {now} instructions per request, more than {TOLERANCE_PERCENT} % over the {before} of the budget"
                ));
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::ROWS;
    use super::*;

    fn budget(flashsale: u32) -> Budget {
        let bare_hyper = 900;
        let figures = Figures {
            flashsale,
            bare_hyper,
        };
        Budget {
            rows: BTreeMap::from([("livez".to_owned(), figures)]),
        }
    }

    #[test]
    fn a_budget_is_exceeded_by_more_than_three_percent() {
        let exceeded = |now| budget(1000).exceeded_by(&budget(now)).expect("the row");
        assert!(exceeded(900).is_empty() && exceeded(1030).is_empty());
        let lines = exceeded(1031);
        assert!(lines.len() == 1 && lines[0].contains("livez"), "{lines:?}");
        let error = Budget::default().exceeded_by(&budget(1));
        assert!(
            error
                .expect_err("no such row")
                .to_string()
                .contains("livez")
        );
    }

    /// Counting takes a release build and a minute; that the file is whole takes nothing.
    #[test]
    fn the_committed_budget_has_every_row_and_no_other() {
        let committed = include_str!("../../instructions.json");
        let budget: Budget = serde_json::from_str(committed).expect("a budget");
        let mut names = ROWS.map(|row| row.name);
        names.sort_unstable();
        assert!(budget.rows.keys().eq(names.iter()), "{budget:?}");
        let is_plausible = |figures: &Figures| figures.flashsale > figures.bare_hyper;
        assert!(budget.rows.values().all(is_plausible), "{budget:?}");
    }

    #[test]
    fn a_budget_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("budget.json");
        budget(7).write(&path).expect("written");
        assert_eq!(Budget::read(&path).expect("a budget"), budget(7));
    }
}
