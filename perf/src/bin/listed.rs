//! What a sale of very many listed items costs: the time until it exists, its memory, what buyers of
//! another sale notice of it meanwhile, and the time that a start and a snapshot take afterwards.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use clap::Parser;
use flashsale::env::{Clock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Opening, Options, Tools};
use flashsale::record::NewItem;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, NewCatalogue, NewSale, Recovered,
    write_snapshot,
};
use flashsale::types::{ItemId, PaymentTerms, UserId};
use hdrhistogram::Histogram;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long memory takes to stand still.
const SETTLING: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures a sale of many listed items.
#[derive(Parser)]
struct Arguments {
    /// Items of the sale
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Units of each item
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    stock: u64,
    /// Threads that buy meanwhile, each with one checkout at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    buyers: u32,
    /// Seconds that they buy beforehand, to compare with
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Where the journal is written; by default in the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dir = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let texts = texts(arguments.items);
    let item = |(id, name)| NewItem {
        id,
        name,
        image_url: "/images/blue.svg",
        stock: arguments.stock,
        max_per_user: None,
    };
    let items: Vec<_> = texts.iter().map(|(id, name)| item((id, name))).collect();
    let engine = open(dir.path())?;
    alone(&engine, &items)?;
    with_buyers(&engine, &arguments, &items)?;
    engine.journal().close();
    drop(engine);
    restart(dir.path())?;
    snapshot(dir.path())
}

/// Ids and names of the items.
fn texts(items: u32) -> Vec<(String, String)> {
    let text = |n| (format!("SKU-{n:07}"), format!("Thing number {n}, in blue"));
    (0..items).map(text).collect()
}

/// An engine on the journal in `dir`.
fn open(dir: &Path) -> Result<Engine> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let opening = Opening::lock(Arc::new(RealDisk), dir)?;
    let recovered = Recovered::from_journal(&opening)?;
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 64 << 20,
    };
    let tools = Tools {
        clock: Arc::clone(&clock),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("the journal failed: {error}")),
    };
    let journal = Arc::new(opening.start(&recovered.replayed, &options, tools)?);
    let options = EngineOptions::default();
    let entropy = Arc::new(OsEntropy);
    Ok(Engine::new(
        recovered.state,
        journal,
        clock,
        entropy,
        options,
    ))
}

fn new_sale<'a>(engine: &Engine, catalogue: NewCatalogue<'a>) -> NewSale<'a> {
    let now = engine.clock().now();
    NewSale {
        started_at: now,
        ended_at: now.plus_seconds(86_400),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    }
}

/// Creates a sale, and waits until it is durable; how long that took.
fn create(engine: &Engine, new: &NewSale<'_>) -> Result<Duration> {
    let started = Instant::now();
    let decision = engine.create_sale(new)?;
    engine.journal().wait(decision.lsn.ok_or("no record")?)?;
    Ok(started.elapsed())
}

/// Creates the sale while nobody buys.
fn alone(engine: &Engine, items: &[NewItem<'_>]) -> Result<()> {
    let listed = new_sale(engine, NewCatalogue::Explicit(items.to_vec()));
    let before = anonymous_bytes()?;
    let took = create(engine, &listed)?;
    // What is given back goes back to the system a little later.
    thread::sleep(SETTLING);
    println!(
        "{} items: created in {:.2} s, {:.1} MB of journal, {:.0} bytes of memory an item",
        items.len(),
        took.as_secs_f64(),
        engine.journal().status().written_bytes as f64 / 1e6,
        anonymous_bytes()?.saturating_sub(before) as f64 / items.len() as f64
    );
    Ok(())
}

/// Creates it once more while others buy.
fn with_buyers(engine: &Engine, arguments: &Arguments, items: &[NewItem<'_>]) -> Result<()> {
    let generated = NewCatalogue::Generated {
        item_count: 1_000_000,
        seed: 0,
    };
    create(engine, &new_sale(engine, generated))?;
    let (_, latency) = buy_during(engine, arguments.buyers, "before", || {
        thread::sleep(Duration::from_secs(arguments.seconds));
        Ok(())
    })?;
    say("checkouts before", &latency);
    let listed = new_sale(engine, NewCatalogue::Explicit(items.to_vec()));
    let (took, latency) = buy_during(engine, arguments.buyers, "during", || {
        create(engine, &listed)
    })?;
    say("checkouts meanwhile", &latency);
    println!("created meanwhile in {:.2} s", took.as_secs_f64());
    Ok(())
}

fn say(what: &str, latency_us: &Histogram<u64>) {
    let at = |quantile| latency_us.value_at_quantile(quantile);
    println!(
        "{what}: {} in all, p50 {} us, p99 {} us, p99.9 {} us, max {} us",
        latency_us.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        latency_us.max()
    );
}

/// Buys on several threads for as long as `work` takes; what comes of it, and how long each checkout
/// took to be durable.
fn buy_during<T>(
    engine: &Engine,
    buyers: u32,
    name: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Histogram<u64>)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..buyers)
            .map(|buyer| {
                let (over, name) = (&over, format!("{name} {buyer}"));
                scope.spawn(move || buy_until(engine, over, &name))
            })
            .collect();
        let worked = work();
        over.store(true, Ordering::Relaxed);
        let mut all = histogram();
        for thread in threads {
            all.add(thread.join().expect("no buyer panics"))?;
        }
        worked.map(|result| (result, all))
    })
}

fn buy_until(engine: &Engine, over: &AtomicBool, name: &str) -> Histogram<u64> {
    let mut latency_us = histogram();
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let user = format!("{name} {number}");
        let started = Instant::now();
        let decision = engine.checkout(&CheckoutRequest {
            user: UserId::new(&user).expect("an id"),
            item: ItemId::new("ITM-2-0").expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        });
        let CheckoutOutcome::Accepted { .. } = decision.outcome else {
            panic!("a buyer was refused: {:?}", decision.outcome);
        };
        let lsn = decision.lsn.expect("it is recorded");
        engine.journal().wait(lsn).expect("the disk works");
        latency_us.saturating_record(started.elapsed().as_micros() as u64);
    }
    latency_us
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).expect("3 significant digits are allowed")
}

fn restart(dir: &Path) -> Result<()> {
    let started = Instant::now();
    let engine = open(dir)?;
    println!("recovered in {:.2} s", started.elapsed().as_secs_f64());
    engine.journal().close();
    Ok(())
}

fn snapshot(dir: &Path) -> Result<()> {
    let until = {
        let opening = Opening::lock(Arc::new(RealDisk), dir)?;
        Recovered::from_journal(&opening)?.replayed.last_lsn
    };
    let started = Instant::now();
    write_snapshot(&RealDisk, dir, until, &SystemClock::new(), &OsEntropy)?;
    println!(
        "snapshot folded in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Memory of this process that no file stands for.
fn anonymous_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kibibytes.ok_or("no RssAnon in /proc")?.parse::<u64>()? * 1024)
}
