//! TLS handshakes: how many a second the server does and what they cost, full and resumed, beside bare hyper with the same
//! certificate and the same settings.

mod certificate;
mod client;
mod report;
mod turn;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::compare::contestant::find_server;
use crate::compare::host::Host;
use crate::compare::running::Running;
use crate::exit;
use certificate::Certificate;
use client::Handshake;
use report::Report;
use turn::{Clients, Turn};

/// Length of the answers of bare hyper, which is that of the server to `GET /livez`.
const BODY_BYTES: usize = 3;

/// Measures full and resumed TLS handshakes, of the server and of bare hyper
#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds, in each of which both have a turn of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of each turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Clients that connect at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=200))]
    clients: u8,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Where handshakes.json is written, with every turn
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Measures, and prints what was found.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    exit::code(run(arguments).map(|()| true))
}

fn run(arguments: &Arguments) -> Result<()> {
    let server = find_server(arguments.server.as_deref())?;
    let host = Host::read();
    let files = TempDir::with_prefix("handshakes-")?;
    let certificate = Certificate::write(files.path())?;
    let contestants = [
        (BARE_HYPER, bare_hyper(&certificate)?),
        (SERVER, server_over_tls(&server, &certificate)?),
    ];
    let clients = Clients {
        count: arguments.clients,
        duration: Duration::from_secs(u64::from(arguments.seconds)),
        certificate: &certificate,
    };
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        for handshake in Handshake::ALL {
            // Another one begins each round.
            for place in 0..contestants.len() {
                let (label, running) = &contestants[(place + round as usize) % contestants.len()];
                let turn = Turn::take(&clients, round, handshake, label, running)?;
                eprintln!("{turn}");
                turns.push(turn);
            }
        }
    }
    let report = Report::new(host, turns);
    print!("{report}");
    if let Some(dir) = &arguments.output {
        report.write(dir)?;
    }
    Ok(())
}

/// The server, as it is shown.
const SERVER: &str = "flashsale";
/// What it is compared with.
const BARE_HYPER: &str = "bare hyper";

fn bare_hyper(certificate: &Certificate) -> Result<Running> {
    Running::bare_hyper_over_tls(BODY_BYTES, &certificate.cert, &certificate.key)
}

fn server_over_tls(server: &Path, certificate: &Certificate) -> Result<Running> {
    let [cert, key] = [&certificate.cert, &certificate.key].map(|it| it.display().to_string());
    let settings = [("SERVER_TLS_CERT", cert), ("SERVER_TLS_KEY", key)];
    Running::server(server, TempDir::with_prefix("handshakes-")?, &settings)
}
