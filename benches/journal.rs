//! The journal: writing records down, committing them in batches, and reading them back.

mod common;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use flashsale::env::{Disk, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::frame::FrameAlign;
use flashsale::journal::{Opening, frame, snapshot};
use flashsale::record::{Lines, Record, envelope};
use flashsale::sale::{Recovered, write_snapshot};
use flashsale::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};
use tempfile::TempDir;

use common::{Hall, journal, wishes};

/// Where a file system in memory is mounted, if there is one.
const MEMORY: &str = "/dev/shm";
/// Users of the journal that is recovered. Each leaves a checkout and a purchase.
const USERS: u64 = 100_000;
const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

const CHECKOUT: Record<'_> = Record::Checkout {
    sale: SaleId(1),
    secret: u128::MAX / 3,
    user: "user-0000001",
    item: ItemIndex(1),
    quantity: 1,
    hold_until: None,
    opens: true,
    key: None,
};

const PURCHASE: Record<'_> = Record::Purchase {
    sale: SaleId(1),
    secret: u128::MAX / 3,
    user: "user-0000001",
    key: Some("key-1"),
    payment_ref: None,
    lines: Lines::Slice(&[PurchasedLine {
        item: ItemIndex(1),
        quantity: 1,
        sold: true,
    }]),
};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/encode");
    let mut buffer = Vec::with_capacity(1024);
    for (name, record) in [("checkout", CHECKOUT), ("purchase", PURCHASE)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                buffer.clear();
                envelope::encode(NOW, black_box(&record), &mut buffer);
            });
        });
    }
    group.finish();
}

/// A batch's checksums and padding.
fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/seal");
    for count in [1, 64, 1000] {
        let mut buffer = vec![0; frame::FRAME_HEADER_BYTES];
        (0..count).for_each(|_| envelope::encode(NOW, &CHECKOUT, &mut buffer));
        let unsealed = buffer.len();
        group.throughput(Throughput::Bytes(unsealed as u64));
        group.bench_function(BenchmarkId::new("records", count), |b| {
            b.iter(|| {
                buffer.truncate(unsealed);
                frame::seal(black_box(7), FrameAlign::SECTOR, Lsn(1), count, &mut buffer);
            });
        });
    }
    group.finish();
}

/// The file systems to commit on: the one that the build is on, and memory where there is one.
fn file_systems() -> impl Iterator<Item = (&'static str, PathBuf)> {
    let all = [
        ("disk", PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        ("memory", PathBuf::from(MEMORY)),
    ];
    all.into_iter().filter(|(_, path)| path.is_dir())
}

/// From the first append of a batch to its durability, synced.
fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/commit");
    for (name, path) in file_systems() {
        for records in [1, 6, 64, 1000] {
            group.throughput(Throughput::Elements(records));
            group.bench_function(BenchmarkId::new(name, records), |b| {
                let dir = TempDir::new_in(&path).expect("a directory");
                let journal = journal(Arc::new(RealDisk), dir.path());
                b.iter(|| {
                    let last = (0..records).map(|_| journal.append(NOW, &CHECKOUT)).max();
                    journal
                        .wait(last.expect("a batch"))
                        .expect("the disk works");
                });
            });
        }
    }
    group.finish();
}

/// A closed journal of [`USERS`] who bought one item each.
struct Past {
    disk: Arc<dyn Disk>,
    dir: TempDir,
    last: Lsn,
}

impl Past {
    fn new() -> Self {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let root = if Path::new(MEMORY).is_dir() {
            MEMORY
        } else {
            env!("CARGO_TARGET_TMPDIR")
        };
        let dir = TempDir::new_in(root).expect("a directory");
        let hall = Hall::on_disk(Arc::clone(&disk), dir.path(), USERS as u32);
        for (user, item) in wishes(0..USERS) {
            hall.purchase(hall.checkout(&user, &item));
        }
        hall.engine.journal().close();
        let last = hall.engine.journal().durable();
        Self { disk, dir, last }
    }

    fn recover(&self) -> Recovered {
        let opening = Opening::lock(Arc::clone(&self.disk), self.dir.path()).expect("not in use");
        Recovered::from_journal(&opening).expect("the journal is intact")
    }

    fn write_snapshot(&self) {
        let (disk, dir) = (&*self.disk, self.dir.path());
        write_snapshot(disk, dir, self.last, &SystemClock::new(), &OsEntropy)
            .expect("there is room for a snapshot");
    }

    fn remove_snapshots(&self) {
        let (disk, dir) = (&*self.disk, self.dir.path());
        for lsn in snapshot::list(disk, dir).expect("a journal") {
            disk.remove(&snapshot::path_of(dir, lsn)).expect("a file");
        }
    }
}

/// A start from the records alone, a snapshot of them, and a start from the snapshot. A snapshot is
/// folded from the journal, so that its time contains a replay.
fn recover(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/recover");
    group.sample_size(10);
    group.throughput(Throughput::Elements(2 * USERS));
    group.bench_function("records", |b| {
        let past = Past::new();
        b.iter_with_large_drop(|| past.recover());
    });
    group.bench_function("write_snapshot", |b| {
        let past = Past::new();
        b.iter_batched(
            || past.remove_snapshots(),
            |()| past.write_snapshot(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("snapshot", |b| {
        let past = Past::new();
        past.write_snapshot();
        b.iter_with_large_drop(|| past.recover());
    });
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    encode(&mut criterion);
    seal(&mut criterion);
    commit(&mut criterion);
    recover(&mut criterion);
    criterion.final_summary();
}
