//! The copier and the journal, one step of the one between any two of the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flashsale::env::{Disk, DiskFile, FileId, ManualClock, OpenMode, SimulatedDisk};
use flashsale::journal::backup::{DirOnDisk, copy};
use flashsale::journal::{Durability, Opening, Options};
use flashsale::record::{Lines, Record};
use flashsale::sale::State;
use flashsale::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};
use parking_lot::Mutex;

use crate::backup::shop::{ITEMS, Shop, recover_copy};
use crate::common::{dump_whole, tools};

fn dir() -> &'static Path {
    Path::new("/journal")
}

fn target() -> &'static Path {
    Path::new("/copy")
}

/// What happens before one operation.
type Step = Box<dyn FnOnce() + Send>;

/// Counts the operations on a disk, and lets something happen before one of them.
#[derive(Clone)]
struct Stepped {
    disk: SimulatedDisk,
    operations: Arc<AtomicUsize>,
    due: Arc<Mutex<Option<(usize, Step)>>>,
}

impl Stepped {
    fn over(disk: &SimulatedDisk, at: usize, step: Step) -> Self {
        Self {
            disk: disk.clone(),
            operations: Arc::default(),
            due: Arc::new(Mutex::new(Some((at, step)))),
        }
    }

    fn count(&self) {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let step = self.due.lock().take_if(|(at, _)| *at == number);
        if let Some((_, step)) = step {
            step();
        }
    }
}

impl Disk for Stepped {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.count();
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        assert_eq!(mode, OpenMode::Read, "the source is only read");
        self.count();
        let file = self.disk.open(path, mode)?;
        let disk = self.clone();
        Ok(Box::new(SteppedFile { disk, file }))
    }

    fn list_irregular(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        self.disk.list_irregular(dir)
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        self.disk.id_of(path)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_dir(dir)
    }

    fn rename(&self, from: &Path, _to: &Path) -> io::Result<()> {
        panic!("{} would be renamed", from.display());
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        panic!("{} would be removed", path.display());
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        panic!("{} would be locked", path.display());
    }
}

struct SteppedFile {
    disk: Stepped,
    file: Box<dyn DiskFile>,
}

impl DiskFile for SteppedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.count();
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, _buf: &[u8], offset: u64) -> io::Result<()> {
        panic!("the source would be written at {offset}");
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.count();
        self.file.sync_data()
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.file.length_bytes()
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn try_lock(&self) -> io::Result<bool> {
        panic!("the source would be locked");
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// An action of the journal between two steps of a backup.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Sell,
    FillSegments,
    EndSales,
    Snapshot,
    SnapshotAndTrim,
    Everything,
    RemoveSaleFiles,
}

const ACTIONS: [Action; 7] = [
    Action::Sell,
    Action::FillSegments,
    Action::EndSales,
    Action::Snapshot,
    Action::SnapshotAndTrim,
    Action::Everything,
    Action::RemoveSaleFiles,
];

impl Action {
    fn perform(self, shop: &Shop) {
        match self {
            Action::Sell => sell(shop, "late"),
            Action::FillSegments => (0..4).for_each(|_| fill_a_sale(shop)),
            Action::EndSales => shop.end_sales(),
            Action::Snapshot => shop.snapshot(),
            Action::SnapshotAndTrim => {
                shop.snapshot();
                shop.trim();
            }
            Action::Everything => {
                (0..4).for_each(|_| fill_a_sale(shop));
                shop.end_sales();
                shop.snapshot();
                shop.trim();
                sell(shop, "last");
            }
            Action::RemoveSaleFiles => {
                shop.end_sales();
                shop.snapshot();
                shop.remove_sale_files();
            }
        }
    }
}

fn sell(shop: &Shop, user: &str) {
    let sale = shop.create();
    let code = shop.choose(sale, user, 0).expect("there is one");
    shop.purchase(code);
    shop.choose(sale, user, 1).expect("there is one");
}

/// Some twenty kilobytes.
fn fill_a_sale(shop: &Shop) {
    let sale = shop.create();
    for user in 0..60 {
        let user = format!("{user}-{}", "u".repeat(100));
        let code = shop.choose(sale, &user, 0);
        shop.choose(sale, &user, user.len() as u32 % ITEMS);
        if let Some(code) = code {
            shop.purchase(code);
        }
    }
}

/// A journal with a snapshot, files of sales, trimmed segments, and a sale that runs.
fn shop_with_a_past(disk: &SimulatedDisk) -> Shop {
    let shop = Shop::open(Arc::new(disk.clone()), dir());
    (0..6).for_each(|_| fill_a_sale(&shop));
    shop.end_sales();
    fill_a_sale(&shop);
    shop.snapshot();
    shop.trim();
    fill_a_sale(&shop);
    shop.end_sales();
    sell(&shop, "early");
    shop
}

fn whole(disk: &SimulatedDisk, shop: &Shop) -> Vec<String> {
    dump_whole(disk, dir(), &State::of_engine(&shop.engine))
}

/// Copies while `action` is done before operation `at`; whether there were so many.
fn copy_with(action: Action, at: usize) -> bool {
    let disk = SimulatedDisk::new();
    let shop = Arc::new(shop_with_a_past(&disk));
    let before = (shop.engine.journal().durable(), whole(&disk, &shop));
    let step = {
        let shop = Arc::clone(&shop);
        Box::new(move || action.perform(&shop))
    };
    let stepped = Stepped::over(&disk, at, step);
    let copy = SimulatedDisk::new();
    let copied = shop.copy_to(&stepped, &copy, target());
    let happened = stepped.due.lock().is_none();
    let durable = shop.engine.journal().durable();
    assert!(
        (before.0..=durable).contains(&copied.last_lsn),
        "{action:?} before operation {at}: {copied:?}"
    );
    // All of it is on the disk.
    let shared: Arc<dyn Disk> = Arc::new(copy.crash(at as u64));
    let state = recover_copy(&shared, target(), &copied);
    if action != Action::RemoveSaleFiles {
        let found = dump_whole(&*shared, target(), &state);
        if copied.last_lsn == before.0 {
            assert!(found == before.1, "{action:?} before operation {at}");
        } else if copied.last_lsn == durable {
            assert!(found == whole(&disk, &shop), "{action:?} before {at}");
        }
    }
    happened
}

#[test]
fn whatever_happens_between_two_steps_the_copy_is_a_journal() {
    std::thread::scope(|scope| {
        for action in ACTIONS {
            scope.spawn(move || {
                let mut at = 0;
                while copy_with(action, at) {
                    at += 1;
                }
                assert!(at > 20, "{action:?}: only {at} operations");
            });
        }
    });
}

#[test]
fn a_batch_that_is_half_written_is_left_out() {
    let disk = SimulatedDisk::new();
    let shop = shop_with_a_past(&disk);
    let (before, expected) = (shop.engine.journal().durable(), whole(&disk, &shop));
    let line = PurchasedLine {
        item: ItemIndex(0),
        quantity: 1,
        sold: true,
    };
    let record = Record::Purchase {
        sale: SaleId(1),
        secret: 1,
        user: "somebody",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(&[line; 400]),
    };
    shop.engine.journal().append(Timestamp(1), &record);
    shop.engine.journal().close();
    // As while a batch of several sectors is on its way: the first are there, the others are not yet.
    let last = last_used_segment(&disk);
    let mut bytes = disk.contents(&last).expect("it is there");
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .expect("it is used");
    bytes[end / 512 * 512..].fill(0);
    disk.overwrite(&last, bytes);

    let copy = SimulatedDisk::new();
    let copied = shop.copy_to(&disk, &copy, target());
    assert!(copied.torn);
    assert_eq!(copied.last_lsn, before);
    let shared: Arc<dyn Disk> = Arc::new(copy);
    let state = recover_copy(&shared, target(), &copied);
    assert!(dump_whole(&*shared, target(), &state) == expected);
}

fn last_used_segment(disk: &SimulatedDisk) -> PathBuf {
    let is_used = |path: &PathBuf| {
        let bytes = disk.contents(path).unwrap_or_default();
        let is_segment = path.extension().is_some_and(|it| it == "segment");
        is_segment && bytes[4096..].iter().any(|&byte| byte != 0)
    };
    let paths = disk.paths().into_iter().filter(is_used);
    paths.max().expect("there is one")
}

#[test]
fn a_copy_of_a_copy_is_the_same() {
    let disk = SimulatedDisk::new();
    let shop = shop_with_a_past(&disk);
    let first = SimulatedDisk::new();
    let copied = shop.copy_to(&disk, &first, target());
    let expected = whole(&disk, &shop);
    let again = SimulatedDisk::new();
    let (from, to) = (
        DirOnDisk {
            disk: &first,
            dir: target(),
        },
        DirOnDisk {
            disk: &again,
            dir: dir(),
        },
    );
    let recopied = copy(from, to, &mut || ()).expect("intact");
    assert_eq!(recopied.last_lsn, copied.last_lsn);
    let shared: Arc<dyn Disk> = Arc::new(again);
    let state = recover_copy(&shared, dir(), &recopied);
    assert!(dump_whole(&*shared, dir(), &state) == expected);
}

/// Also where the writer leaves the syncing to the system: a backup is never ahead of its source.
#[test]
fn a_power_cut_takes_nothing_from_the_source_that_is_in_the_copy() {
    let (source, to) = (SimulatedDisk::new(), SimulatedDisk::new());
    let lock = |disk: &SimulatedDisk| {
        let opening = Opening::lock(Arc::new(disk.clone()), dir()).expect("free");
        let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(()));
        (opening, replayed)
    };
    let (opening, replayed) = lock(&source);
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 64 * 1024,
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1000)));
    let journal = opening.start(&replayed.expect("empty"), &options, tools(&clock, 5));
    let journal = journal.expect("room");
    let record = Record::SaleClosed { sale: SaleId(1) };
    for _ in 0..100 {
        let lsns = [0; 100].map(|at| journal.append(Timestamp(at), &record));
        journal.wait(lsns[99]).expect("the disk works");
    }
    to.create_dir_all(target()).expect("room");
    let place = |disk, dir| DirOnDisk { disk, dir };
    let copied = copy(place(&source, dir()), place(&to, target()), &mut || {});
    let copied = copied.expect("intact");
    assert_eq!(copied.last_lsn, journal.durable());
    for seed in 0..20 {
        let (_, replayed) = lock(&source.crash(seed));
        let found = replayed.map(|it| it.last_lsn);
        assert_eq!(found.expect("intact"), copied.last_lsn, "seed {seed}");
    }
}
