//! User-space instructions per request, of the server and of bare hyper, as valgrind's callgrind counts them.
//!
//! A time moves by several percent from run to run on a shared machine; a count of instructions moves by a few tenths of
//! one. So a change of a single percent can be seen, and held to a [budget](Budget).

mod budget;
mod counted;
mod driver;
mod profile;
mod row;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::compare::contestant::find_server;
pub use budget::{Budget, Figures};
use row::select;
pub use row::{ROWS, Row};

/// Counts user-space instructions per request, of the server and of bare hyper
#[derive(clap::Args)]
pub struct Arguments {
    /// Only rows with this in their name; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Requests that are counted in each row
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(64..=200_000))]
    requests: u32,
    /// Connections, on each of which one request at a time is sent
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Also print the functions that cost the server most beyond bare hyper
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "25")]
    functions: Option<usize>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// The file with the figures that --check compares with and --write replaces
    #[arg(long, value_name = "PATH", default_value = "perf/instructions.json")]
    budget: PathBuf,
    /// End with exit code 1 where the server needs more than the budget allows
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the figures to the budget
    #[arg(long)]
    write: bool,
}

/// Counts, and prints the table.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    crate::exit::code(run(arguments))
}

/// Returns whether the server stays within the budget, where it is checked.
fn run(arguments: &Arguments) -> Result<bool> {
    let rows = select(&arguments.only)?;
    if arguments.write && rows.len() < ROWS.len() {
        bail!("--write needs all rows: leave --only out");
    }
    if cfg!(debug_assertions) {
        bail!("unoptimised instructions say nothing: build with --release");
    }
    let budget = match arguments.check {
        true => Some(Budget::read(&arguments.budget)?),
        false => None,
    };
    let server = find_server(arguments.server.as_deref())?;
    let pace = counted::Pace {
        requests: arguments.requests,
        connections: arguments.connections,
    };
    let mut measured = Budget::default();
    for row in rows {
        eprintln!("{}", row.name);
        let counted = counted::count(row, &server, pace).with_context(|| row.name.to_owned())?;
        measured.rows.insert(row.name.to_owned(), counted.figures());
        if let Some(count) = arguments.functions {
            println!("{}", table::functions(row, &counted, count));
        }
    }
    println!("{}", table::rows(&measured));
    if arguments.write {
        measured.write(&arguments.budget)?;
        eprintln!("written to {}", arguments.budget.display());
    }
    let exceeded = budget
        .map(|budget| budget.exceeded_by(&measured))
        .transpose()?;
    for line in exceeded.iter().flatten() {
        eprintln!("error: {line}");
    }
    Ok(exceeded.is_none_or(|lines| lines.is_empty()))
}
