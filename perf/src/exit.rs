//! The exit codes of the commands that measure.

use std::process::ExitCode;

use anyhow::Result;

/// Returns the exit code of a command that has ended: 0; 1 where something that was asked for is not met (`false`); 2 behind an error,
/// which it prints.
pub(crate) fn code(ended: Result<bool>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
