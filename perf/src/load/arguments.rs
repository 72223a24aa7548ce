//! The flags of `flashsale-perf load`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};

use super::plan::{Arrivals, Mode, Plan, Shape, Workload};

/// Puts load on a server.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The server
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// What is asked for
    #[arg(long, value_enum, default_value = "checkout")]
    workload: Workload,
    /// Arrivals a second, whether or not the server keeps up; without it each connection asks again once
    /// it has its answer
    #[arg(long)]
    rate: Option<f64>,
    /// How arrivals are spread
    #[arg(long, value_enum, default_value = "uniform", requires = "rate")]
    arrivals: Arrivals,
    /// How the rate moves
    #[arg(long, value_enum, default_value = "steady", requires = "rate")]
    shape: Shape,
    /// Seconds
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Process of the server, to measure its CPU time
    #[arg(long)]
    server_pid: Option<u32>,
}

/// Runs `flashsale-perf load`.
#[must_use]
pub fn command(arguments: Arguments) -> ExitCode {
    let duration = Duration::from_secs(u64::from(arguments.seconds));
    let mut plan = Plan::new(arguments.address, duration);
    plan.workload = arguments.workload;
    plan.connections = arguments.connections;
    plan.threads = plan.threads.min(plan.connections);
    plan.server_pid = arguments.server_pid;
    if let Some(rate) = arguments.rate {
        let (arrivals, shape) = (arguments.arrivals, arguments.shape);
        plan.mode = Mode::Open {
            rate,
            arrivals,
            shape,
            queue: 65_536,
        };
    }
    match super::run(&plan) {
        Err(error) => {
            eprintln!("flashsale-perf: {error}");
            ExitCode::FAILURE
        }
        Ok(outcome) => {
            println!("{:.0} answers/s", outcome.answers_per_second());
            for reason in outcome.invalid() {
                println!("INVALID: {reason}");
            }
            ExitCode::SUCCESS
        }
    }
}
