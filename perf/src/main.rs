//! The `flashsale-perf` binary. What it does is in [`flashsale_perf`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flashsale_perf::contestants::{bare, floor, postgres_row, redis_lua};
use flashsale_perf::{
    compare, connections, curve, handshakes, instructions, load, maintenance, opening,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What flashsale is measured with.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves a constant with bare hyper
    Bare(bare::Arguments),
    /// Measures the server beside bare hyper, and nginx where it is installed
    Compare(compare::Arguments),
    /// Measures very many open connections, and buyers among them
    Connections(connections::Arguments),
    /// Measures latency against rate in an open loop, and draws it
    Curve(curve::Arguments),
    /// Serves a constant once a record is on the disk: the floor of a durable answer
    Floor(floor::Arguments),
    /// Measures full and resumed TLS handshakes, of the server and of bare hyper
    Handshakes(handshakes::Arguments),
    /// Counts user-space instructions per request, of the server and of bare hyper
    Instructions(instructions::Arguments),
    /// Measures whether maintenance is felt by buyers
    Maintenance(maintenance::Arguments),
    /// Has thousands of clients connect and buy in the second in which a sale opens
    Opening(opening::Arguments),
    /// Sells by rows in Postgres
    PostgresRow(Box<postgres_row::Arguments>),
    /// Sells by a function in Redis
    RedisLua(Box<redis_lua::Arguments>),
    /// Puts load on a server, and proves its books afterwards
    Load(Box<load::Arguments>),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Bare(arguments) => bare::command(&arguments),
        Command::Compare(arguments) => compare::command(&arguments),
        Command::Connections(arguments) => connections::command(&arguments),
        Command::Curve(arguments) => curve::command(&arguments),
        Command::Floor(arguments) => floor::command(&arguments),
        Command::Handshakes(arguments) => handshakes::command(&arguments),
        Command::Instructions(arguments) => instructions::command(&arguments),
        Command::Maintenance(arguments) => maintenance::command(&arguments),
        Command::Opening(arguments) => opening::command(&arguments),
        Command::PostgresRow(arguments) => postgres_row::command(&arguments),
        Command::RedisLua(arguments) => redis_lua::command(&arguments),
        Command::Load(arguments) => load::command(&arguments),
    }
}
