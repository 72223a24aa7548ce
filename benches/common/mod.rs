//! Helpers that the benches share: threads that start together, and an engine with a sale to buy from.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use flashsale::env::{Clock, Disk, DiskFile, FileId, OpenMode, OsEntropy, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Decision, Engine, EngineOptions, NewCatalogue, NewSale,
    PurchaseOutcome, Recovered, State,
};
use flashsale::types::{CheckoutCode, ItemId, PaymentTerms, UserId};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Most checkouts on one engine, so that a long measurement does not fill the memory.
const PIECE: u64 = 200_000;

/// Criterion with short measurements: what is measured is steady, and there are many.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args()
}

/// The cores that may be used.
pub fn cores() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// Runs `work` with its number on each of `count` threads, which start together. From the start to
/// the end of the last one.
pub fn on_threads(count: u64, work: impl Fn(u64) + Sync) -> Duration {
    let start = Barrier::new(count as usize);
    let run = |number| {
        start.wait();
        let started = Instant::now();
        work(number);
        started.elapsed()
    };
    let run = &run;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || run(number)))
            .collect();
        let times = threads.into_iter().map(|thread| thread.join());
        times
            .map(|time| time.expect("no thread panics"))
            .max()
            .unwrap_or_default()
    })
}

/// Measures `iterations` in pieces of a bounded number each; the sum of their times.
pub fn in_pieces(iterations: u64, measure: impl FnMut(u64) -> Duration) -> Duration {
    let pieces = (0..iterations).step_by(PIECE as usize);
    pieces
        .map(|done| PIECE.min(iterations - done))
        .map(measure)
        .sum()
}

/// A disk that takes everything and keeps nothing: what is left is the cost of the code before it.
pub struct DroppingDisk;

impl Disk for DroppingDisk {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn open(&self, _: &Path, _: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(DroppingFile))
    }

    fn list_irregular(&self, _: &Path) -> io::Result<Vec<(String, &'static str)>> {
        Ok(Vec::new())
    }

    fn id_of(&self, _: &Path) -> io::Result<FileId> {
        Ok(NO_FILE)
    }

    fn open_dir(&self, _: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(DroppingFile))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        Ok(Some(Box::new(DroppingFile)))
    }
}

struct DroppingFile;

/// All its files are the same one.
const NO_FILE: FileId = FileId {
    device: 0,
    inode: 0,
};

impl DiskFile for DroppingFile {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(NO_FILE)
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A new journal in `dir`.
pub fn journal(disk: Arc<dyn Disk>, dir: &Path) -> Journal {
    let opening = Opening::lock(disk, dir).expect("nobody has the journal");
    let recovered = Recovered::from_journal(&opening).expect("the journal is new");
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 64 << 20,
    };
    let tools = Tools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("the journal failed: {error}")),
    };
    opening
        .start(&recovered.replayed, &options, tools)
        .expect("the journal starts")
}

/// An engine with one sale, number 1.
pub struct Hall {
    /// The engine.
    pub engine: Arc<Engine>,
}

impl Hall {
    /// A sale of `item_count` items of stock 1, on a disk that drops everything.
    pub fn new(item_count: u32) -> Self {
        Self::on_disk(Arc::new(DroppingDisk), Path::new("journal"), item_count)
    }

    /// A sale of `item_count` items of stock 1, with a journal in `dir`.
    pub fn on_disk(disk: Arc<dyn Disk>, dir: &Path, item_count: u32) -> Self {
        let journal = Arc::new(journal(disk, dir));
        let clock = Arc::new(SystemClock::new());
        let now = clock.now();
        let engine = Engine::new(
            State::default(),
            journal,
            clock,
            Arc::new(OsEntropy),
            EngineOptions::default(),
        );
        let sale = NewSale {
            started_at: now,
            ended_at: now.plus_seconds(86_400),
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Generated {
                item_count,
                seed: 0,
            },
        };
        let created = engine.create_sale(&sale).expect("it is allowed");
        let lsn = created.lsn.expect("a sale is recorded");
        engine.journal().wait(lsn).expect("the disk works");
        Self {
            engine: Arc::new(engine),
        }
    }

    /// A checkout as it is decided.
    pub fn decide(&self, user: &str, item: &str) -> Decision<CheckoutOutcome> {
        self.engine.checkout(&CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(item).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        })
    }

    /// A checkout that must be accepted; when too much waits for the disk it is asked for again.
    pub fn checkout(&self, user: &str, item: &str) -> CheckoutCode {
        loop {
            match self.decide(user, item).outcome {
                CheckoutOutcome::Accepted { code, .. } => return code,
                CheckoutOutcome::Unavailable(_) => thread::yield_now(),
                outcome => panic!("{user} asked for {item}: {outcome:?}"),
            }
        }
    }

    /// A purchase that must succeed.
    pub fn purchase(&self, code: CheckoutCode) {
        loop {
            match self.engine.purchase(code, None).outcome {
                PurchaseOutcome::Processed { result, .. } if result.any_sold() => return,
                PurchaseOutcome::Unavailable(_) => thread::yield_now(),
                outcome => panic!("a purchase failed: {outcome:?}"),
            }
        }
    }
}

/// Ids of users and of the items that they want: user `n` item `n`.
pub fn wishes(numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
    let wish = |number| (format!("user-{number:07}"), format!("ITM-1-{number}"));
    numbers.map(wish).collect()
}
