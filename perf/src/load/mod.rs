//! Load that can be trusted.
//!
//! [`run`] takes a [`Plan`] and gives an [`Outcome`]. Each thread of the generator is one epoll loop with
//! nanosecond timeouts over non-blocking sockets, which costs the machine that it shares with the server
//! about as little as can be.
//!
//! In an open loop the moments of all arrivals are planned before anything is sent. A latency counts
//! from there, whoever was late: the server that let connections queue up, or the generator. What the
//! generator itself was late is measured apart, and a run in which that was often the case is invalid.

pub mod audit;
pub mod report;
pub mod server;

pub(crate) mod answer;
mod arguments;
mod command;
mod connection;
mod cpu;
mod free;
mod generator;
mod goals;
mod journey;
mod latencies;
mod outcome;
mod plan;
mod profile;
mod progress;
mod receipt;
mod record;
mod recorder;
mod schedule;
mod second;
mod shop;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flashsale::types::CheckoutCode;

pub use answer::{Class, Kind};
pub use arguments::Arguments;
pub use command::command;
pub use connection::connect;
pub use cpu::{Cpu, children, process_ns, resident_kib, thread_ns};
pub use goals::{Goal, Goals};
pub use latencies::{Answers, Latencies};
pub use outcome::{Invalid, Outcome, Share};
pub use plan::{Arrivals, Mode, Plan, Sale, Shape, Workload, loopback_source};
pub use receipt::{Line, Receipts};
pub use record::{Lost, NotSent, Record, Unknown};
pub use second::Second;

use generator::{Generator, Left};
use journey::Script;
use progress::Progress;
use shop::Shop;

/// From the moment at which all connections are open to the first request.
const HEAD_START: Duration = Duration::from_millis(20);
/// The time that the preparation of checkouts may take.
const PREPARATION: Duration = Duration::from_secs(300);

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server is not there, or does not answer.
    #[error("{0} does not answer: {1}")]
    Connect(SocketAddr, io::Error),
    /// The server answered something that the load cannot be built on.
    #[error("{0} was answered with {1}")]
    Odd(String, String),
    /// A thread of the generator, a server of its own, or a file.
    #[error("{0}")]
    Generator(#[from] io::Error),
    /// The plan cannot be carried out.
    #[error("{0}")]
    Plan(String),
}

/// Carries a plan out.
///
/// # Errors
/// The server cannot be reached, there is no sale or one of listed items, or what the plan asks for cannot
/// be prepared.
pub fn run(plan: &Plan) -> Result<Outcome, LoadError> {
    let shop = Shop::at(plan.address);
    let sale = match plan.sale {
        Some(sale) => sale,
        None => shop.active_sale()?,
    };
    let names_items = !matches!(plan.workload, Workload::Active | Workload::Browse);
    if plan.sale.is_none() && names_items {
        shop.check_items(sale.id)?;
    }
    let free: Arc<[u32]> = free::choose(plan, sale, shop)?.into();
    let mut scripts: Vec<_> = (0..plan.threads)
        .map(|lane| Script::new(plan, sale, &free, lane))
        .collect();
    match plan.workload {
        Workload::Purchase => scripts = prepare_checkouts(plan, sale, &free, scripts)?,
        Workload::SoldOut => {
            shop.sell_out(sale.id, 0, &format!("before-{}", plan.prefix))?;
            if plan.sale.is_none() {
                shop.check_sold(sale.id, 0)?;
            }
        }
        _ => {}
    }
    let sold_before = plan
        .sale
        .is_none()
        .then(|| shop.sale(sale.id))
        .transpose()?;
    let server_cpu = || cpu::processes_ns(plan.pids());
    let (mut started_at, mut own_before, mut server_before) = (SystemTime::now(), 0, None);
    // To open thousands of connections costs the server as much as a good part of a short run.
    let begun = || {
        (started_at, own_before, server_before) = (SystemTime::now(), cpu::own_ns(), server_cpu());
    };
    let (left, seconds) = drive(plan, scripts, begun)?;
    let (own_after, server_after) = (cpu::own_ns(), server_cpu());
    let last_answer_ns = left
        .iter()
        .map(|left| left.last_answer_ns)
        .max()
        .unwrap_or(0);
    let mut record = Record::default();
    left.into_iter().for_each(|left| record.merge(left.record));
    let answered = record.answered();
    // A server that died in between takes nothing of what was measured before with it.
    let sold_after = plan.sale.is_none().then(|| shop.sale(sale.id)).transpose();
    let gone = sold_after.as_ref().err().map(ToString::to_string);
    let server_ns = server_before
        .zip(server_after)
        .map(|(before, after)| after.saturating_sub(before));
    Ok(Outcome {
        plan: plan.clone(),
        sale,
        started_at,
        elapsed: Duration::from_nanos(last_answer_ns),
        client_cpu: Cpu::of(own_after - own_before, answered, last_answer_ns),
        server_cpu: server_ns.map(|ns| Cpu::of(ns, answered, last_answer_ns)),
        server_resident_kib: cpu::all_resident_kib(plan.pids()),
        items_sold: sold_before
            .zip(sold_after.unwrap_or_default())
            .map(|(before, after)| (before.items_sold, after.items_sold)),
        gone,
        record,
        seconds,
    })
}

/// Runs all threads to their end, and puts their seconds together. Calls `begun` when all connections
/// are open.
fn drive(
    plan: &Plan,
    scripts: Vec<Script>,
    begun: impl FnOnce(),
) -> Result<(Vec<Left>, Vec<Second>), LoadError> {
    let (sender, receiver) = channel();
    let generators: io::Result<Vec<_>> = scripts
        .into_iter()
        .enumerate()
        .map(|(lane, script)| Generator::open(plan, lane, script, sender.clone()))
        .collect();
    let generators = generators.map_err(|error| LoadError::Connect(plan.address, error))?;
    drop(sender);
    let begin = Instant::now() + HEAD_START;
    thread::scope(|scope| {
        let spawn = |generator: Generator| scope.spawn(move || generator.run(begin));
        let threads: Vec<_> = generators.into_iter().map(spawn).collect();
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        begun();
        let seconds = gather(&receiver, plan);
        let left: io::Result<Vec<_>> = threads
            .into_iter()
            .map(|thread| thread.join().expect("a generator does not panic"))
            .collect();
        Ok((left?, seconds))
    })
}

/// The seconds of all threads, added up, until the last thread has ended; without a rest of a second in which nothing
/// happened.
fn gather(receiver: &Receiver<Second>, plan: &Plan) -> Vec<Second> {
    let progress = Progress::of(plan);
    let mut seconds: Vec<(Second, usize)> = Vec::new();
    for part in receiver {
        while seconds.len() <= part.number {
            seconds.push((Second::new(seconds.len()), 0));
        }
        let (second, parts) = &mut seconds[part.number];
        second.merge(&part);
        *parts += 1;
        if *parts == plan.threads && !second.is_empty_rest() {
            progress.show(second);
        }
    }
    progress.end();
    seconds.pop_if(|(second, _)| second.is_empty_rest());
    seconds.into_iter().map(|(second, _)| second).collect()
}

/// Makes the checkouts that are to be purchased, in a closed loop.
fn prepare_checkouts(
    plan: &Plan,
    sale: Sale,
    free: &Arc<[u32]>,
    scripts: Vec<Script>,
) -> Result<Vec<Script>, LoadError> {
    let wanted = plan.prepare.div_ceil(plan.threads as u64);
    let preparation = Plan {
        mode: Mode::Closed,
        duration: PREPARATION,
        progress: false,
        ..plan.clone()
    };
    let preparing = |lane| Script::new(plan, sale, free, lane).preparing(wanted);
    let preparing = (0..plan.threads).map(preparing).collect();
    let (prepared, _) = drive(&preparation, preparing, || ())?;
    let with_codes = |(script, left): (Script, Left)| {
        let codes: Vec<CheckoutCode> = left.codes;
        script.with_prepared(codes)
    };
    Ok(scripts.into_iter().zip(prepared).map(with_codes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests sent in each second of a run of two threads, which end within the third.
    fn sent(last: [u64; 2]) -> Vec<u64> {
        let (sender, receiver) = std::sync::mpsc::channel();
        for last in last {
            for (number, sent) in [5, 0, last].into_iter().enumerate() {
                let mut second = Second::new(number);
                (second.sent, second.is_partial) = (sent, number == 2);
                sender.send(second).expect("somebody listens");
            }
        }
        drop(sender);
        let address = ([127, 0, 0, 1], 1).into();
        let plan = Plan {
            threads: 2,
            progress: false,
            ..Plan::new(address, Duration::from_secs(2))
        };
        let seconds = gather(&receiver, &plan);
        seconds.iter().map(|second| second.sent).collect()
    }

    #[test]
    fn a_rest_of_a_second_in_which_nothing_happened_is_no_row() {
        assert_eq!(sent([0, 0]), [10, 0]);
        assert_eq!(sent([0, 1]), [10, 0, 1]);
    }
}
