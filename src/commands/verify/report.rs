//! The report of `flashsale verify`, a line at a time, and its exit code.

use std::io::{self, Write};

use super::ledger::CompareError;
use crate::reconcile::Mismatches;
use crate::types::counted;

/// Exit code when something is not as it must be.
const EXIT_DIFFERENT: u8 = 1;
/// Exit code when nothing is wrong as far as it could be seen, but something could not be looked at.
const EXIT_UNCHECKED: u8 = 2;

/// A report in the making.
pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
    differences: u64,
    unchecked: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            differences: 0,
            unchecked: 0,
        }
    }

    /// The output, for lines that say what is so.
    pub(super) fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Something is so, or worth knowing.
    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Something is not as it must be.
    pub(super) fn different(&mut self, line: &str) -> io::Result<()> {
        self.differences += 1;
        writeln!(self.out, "DIFFERENT: {line}")
    }

    /// All that was found about `whom`.
    pub(super) fn findings(&mut self, whom: &str, findings: &Mismatches) -> io::Result<()> {
        for told in &findings.told {
            self.different(&format!("{whom}: {told}"))?;
        }
        let untold = findings.count - findings.told.len() as u64;
        if untold > 0 {
            self.differences += untold;
            writeln!(self.out, "DIFFERENT: {whom}: {untold} more")?;
        }
        Ok(())
    }

    /// How far `whom` is behind the journal, which is no difference.
    pub(super) fn lag(&mut self, whom: &str, records: u64, is_running: bool) -> io::Result<()> {
        let behind = counted(records, "record", "records");
        match (records, is_running) {
            (0, _) => Ok(()),
            (_, true) => self.note(&format!("{whom}: {behind} behind the journal")),
            (_, false) => self.note(&format!(
                "{whom}: {behind} behind the journal; the next start goes on from there"
            )),
        }
    }

    /// Something could not be looked at.
    pub(super) fn unchecked(&mut self, line: &str) -> io::Result<()> {
        self.unchecked += 1;
        writeln!(self.out, "NOT CHECKED: {line}")
    }

    /// The comparison of `whom` could not be made, or not to its end.
    pub(super) fn broken_off(&mut self, whom: &str, error: &CompareError) -> io::Result<()> {
        match error {
            CompareError::Ledger(error) if error.is_difference() => {
                self.different(&error.to_string())
            }
            error => self.unchecked(&format!("{whom}: {error}")),
        }
    }

    /// The last line, and the exit code.
    pub(super) fn end(self) -> io::Result<u8> {
        let (differences, unchecked) = (self.differences, self.unchecked);
        let code = match (differences, unchecked) {
            (0, 0) => {
                writeln!(self.out, "verdict: all that was compared agrees")?;
                0
            }
            (0, _) => {
                writeln!(
                    self.out,
                    "verdict: nothing is wrong as far as could be seen, but not all could be checked"
                )?;
                EXIT_UNCHECKED
            }
            _ => {
                writeln!(self.out, "verdict: WRONG, {differences} differences")?;
                EXIT_DIFFERENT
            }
        };
        self.out.flush()?;
        Ok(code)
    }
}
