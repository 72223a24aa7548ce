//! The `flashsale-simulation` binary: runs seeds, and shows one that fails.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use flashsale_simulation::{Campaign, Cuts, is_paired, run, shrink};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the whole server from one seed, or from many.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one seed and prints every step
    Replay {
        /// The seed
        seed: u64,
        /// Requests of buyers at most
        #[arg(long)]
        requests: Option<u64>,
        /// A kind of step that is not taken; may be given several times
        #[arg(long)]
        without: Vec<String>,
        /// Print the outcome only
        #[arg(long)]
        quiet: bool,
    },
    /// Runs many seeds on all cores
    Campaign {
        /// The first seed [default: drawn]
        #[arg(long)]
        from: Option<u64>,
        /// Seeds at most
        #[arg(long, default_value_t = u64::MAX)]
        seeds: u64,
        /// Minutes at most
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Threads [default: as many as there are processors]
        #[arg(long)]
        threads: Option<usize>,
        /// Only seeds in which two servers replicate one log
        #[arg(long)]
        pairs: bool,
    },
    /// Plants each slip and counts the seeds until it is found
    #[cfg(feature = "planted")]
    Slips {
        /// Seeds for each at most
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// This one alone
        #[arg(long)]
        only: Option<String>,
        /// Only seeds in which two servers replicate one log
        #[arg(long)]
        pairs: bool,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Replay {
            seed,
            requests,
            without,
            quiet,
        } => replay(seed, &Cuts { requests, without }, quiet),
        Command::Campaign {
            from,
            seeds,
            minutes,
            threads,
            pairs,
        } => {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let time = Duration::from_secs_f64(minutes * 60.0);
            campaign(from, wanted(pairs), seeds, time, threads.unwrap_or(cores))
        }
        #[cfg(feature = "planted")]
        Command::Slips { seeds, only, pairs } => slips(seeds, wanted(pairs), only.as_deref()),
    }
}

fn replay(seed: u64, cuts: &Cuts, quiet: bool) -> ExitCode {
    match run(seed, cuts, !quiet) {
        Ok(report) => {
            println!("{report:#?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the rule which seeds are run: all, or those with two servers.
fn wanted(pairs: bool) -> fn(u64) -> bool {
    match pairs {
        true => is_paired,
        false => |_| true,
    }
}

fn campaign(
    from: Option<u64>,
    wanted: fn(u64) -> bool,
    seeds: u64,
    time: Duration,
    threads: usize,
) -> ExitCode {
    use flashsale::env::{Entropy, OsEntropy};
    let first = from.unwrap_or_else(|| OsEntropy.bits_128() as u64 >> 1);
    println!("seeds from {first}, on {threads} threads");
    let done = Campaign::run(first, wanted, seeds, time, threads);
    let seconds = done.took.as_secs_f64();
    for (what, count) in &done.counts {
        println!("{count:12}  {what}");
    }
    println!(
        "{} seeds in {seconds:.0} s: {:.0} a second on a core, {:.0} steps each",
        done.seeds,
        done.seeds as f64 / seconds / threads as f64,
        done.steps as f64 / done.seeds.max(1) as f64,
    );
    let Some(failure) = done.failure else {
        return ExitCode::SUCCESS;
    };
    println!("{failure}");
    let cuts = shrink(failure.seed);
    let mut command = format!("flashsale-simulation replay {}", failure.seed);
    if let Some(requests) = cuts.requests {
        command.push_str(&format!(" --requests {requests}"));
    }
    for name in &cuts.without {
        command.push_str(&format!(" --without {name}"));
    }
    println!("shortest: {command}");
    ExitCode::FAILURE
}

#[cfg(feature = "planted")]
fn slips(seeds: u64, wanted: fn(u64) -> bool, only: Option<&str>) -> ExitCode {
    use flashsale::planted::{Slip, plant};
    use flashsale_simulation::find;
    std::panic::set_hook(Box::new(|_| ()));
    let mut is_complete = true;
    for &slip in Slip::ALL {
        let name = format!("{slip:?}");
        if only.is_some_and(|only| only != name) {
            continue;
        }
        if matches!(
            slip,
            Slip::RestocksBeforeRecord
                | Slip::FreesBeforeRecord
                | Slip::KeepsSoldOut
                | Slip::CountsArrivalsApart
        ) {
            println!("| {} | – | by the models of threads alone |", slip.what());
            continue;
        }
        if matches!(
            slip,
            Slip::SkipsTokenExpiry
                | Slip::TrustsTokenAlgorithm
                | Slip::ForgetsOwners
                | Slip::IgnoresOwnLimit
        ) {
            println!(
                "| {} | – | by the tests of user tokens alone |",
                slip.what()
            );
            continue;
        }
        plant(Some(slip));
        match find(1, wanted, seeds) {
            Some(found) => println!(
                "| {} | {} | {} |",
                slip.what(),
                found.seeds,
                found.failure.what
            ),
            None => {
                is_complete = false;
                println!("| {} | not found in {seeds} | |", slip.what());
            }
        }
    }
    match is_complete {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
