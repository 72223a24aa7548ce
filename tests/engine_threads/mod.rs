//! Real threads on one engine: exactly the stock is sold, and the journal leads to the same state.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use flashsale::env::{Disk, ManualClock, RealDisk, SimulatedDisk, splitmix64};
use flashsale::record::NewItem;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, NewCatalogue, NewSale, PurchaseOutcome, Sale, State,
    StockFigures,
};
use flashsale::types::{
    CheckoutCode, IdempotencyKey, ItemId, Lsn, PaymentTerms, SaleId, Timestamp, UserId,
};

use crate::common::{dump, open_engine, recover};

const THREADS: u64 = 4;
const STOCK: u64 = 300;
const LIMIT: u32 = 3;

/// An engine with one sale, of a hot item and of one with a single unit.
struct Hall {
    disk: Arc<dyn Disk>,
    dir: std::path::PathBuf,
    clock: Arc<ManualClock>,
    engine: Engine,
    sale: Arc<Sale>,
}

impl Hall {
    fn new(disk: Arc<dyn Disk>, dir: &Path, hold_seconds: u32) -> Self {
        Self::of(disk, dir, hold_seconds, &[("hot", STOCK), ("only", 1)])
    }

    /// A sale of these items with their stocks.
    fn of(disk: Arc<dyn Disk>, dir: &Path, hold_seconds: u32, items: &[(&str, u64)]) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(10)));
        let engine = open_engine(&disk, dir, &clock, 1).expect("an empty disk is fine");
        let item = |&(id, stock)| NewItem {
            id,
            name: id,
            image_url: "",
            stock,
            max_per_user: None,
        };
        let new = NewSale {
            started_at: Timestamp::from_seconds(0),
            ended_at: Timestamp::from_seconds(1_000_000),
            max_items_per_user: LIMIT,
            hold_seconds,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Explicit(items.iter().map(item).collect()),
        };
        let sale = engine.create_sale(&new).expect("it is allowed").outcome;
        Self {
            disk,
            dir: dir.to_owned(),
            clock,
            engine,
            sale,
        }
    }

    /// Asks until there is an answer that is none of load.
    fn checkout(&self, user: &str, item: &str, quantity: u32) -> CheckoutOutcome {
        loop {
            let decision = self.engine.checkout(&CheckoutRequest {
                user: UserId::new(user).expect("an id"),
                item: ItemId::new(item).expect("an id"),
                quantity,
                sale: None,
                key: None,
            });
            match decision.outcome {
                CheckoutOutcome::Unavailable(_) => thread::yield_now(),
                outcome => return outcome,
            }
        }
    }

    /// As [`Self::checkout`]; units bought.
    fn purchase(&self, code: CheckoutCode) -> u64 {
        loop {
            let decision = self.engine.purchase(code, None);
            match decision.outcome {
                PurchaseOutcome::Unavailable(_) => thread::yield_now(),
                PurchaseOutcome::Processed { result, .. } => {
                    let lsn = decision.lsn.expect("it rests on a record");
                    self.engine.journal().wait(lsn).expect("the disk works");
                    let sold = result.lines.iter().filter(|line| line.sold);
                    return sold.map(|line| u64::from(line.quantity)).sum();
                }
                _ => return 0,
            }
        }
    }

    /// Threads that each run `buy` with their number; the units that they bought together.
    fn run(&self, buy: impl Fn(u64) -> u64 + Sync) -> u64 {
        let buy = &buy;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| scope.spawn(move || buy(number)))
                .collect();
            let bought = threads.into_iter().map(|thread| thread.join());
            bought.map(|units| units.expect("a buyer panicked")).sum()
        })
    }

    /// Everything adds up, and the journal leads to the same state.
    fn finish(self, bought: u64) -> StockFigures {
        let live = State::of_engine(&self.engine);
        live.check(Lsn::ZERO).expect("every unit is somewhere");
        let figures = self.sale.figures();
        assert_eq!(figures.sold, bought);
        self.engine.journal().close();
        let recovered = recover(&self.disk, &self.dir).expect("the journal is intact");
        assert!(
            dump(&recovered) == dump(&live),
            "the journal says otherwise"
        );
        figures
    }
}

/// Runs `test` on a simulated disk and on the machine's.
fn on_both_disks(test: impl Fn(Arc<dyn Disk>, &Path)) {
    test(Arc::new(SimulatedDisk::new()), Path::new("/journal"));
    let scratch = tempfile::tempdir().expect("a directory");
    test(Arc::new(RealDisk), scratch.path());
}

#[test]
fn a_hot_item_is_sold_to_the_last_unit() {
    on_both_disks(|disk, dir| {
        let hall = Hall::new(disk, dir, 0);
        let bought = hall.run(|thread| {
            let mut bought = 0;
            for number in 0..200 {
                // Two threads share each user.
                let user = format!("user {}", number * 2 + thread / 2);
                for item in ["only", "hot"] {
                    let quantity = if item == "hot" {
                        1 + number as u32 % 2
                    } else {
                        1
                    };
                    if let CheckoutOutcome::Accepted { code, .. } =
                        hall.checkout(&user, item, quantity)
                    {
                        bought += hall.purchase(code);
                    }
                }
            }
            bought
        });
        assert_eq!(hall.finish(bought).sold, STOCK + 1);
    });
}

#[test]
fn holds_that_run_out_come_back() {
    on_both_disks(|disk, dir| {
        let hall = Hall::new(disk, dir, 1);
        let bought = hall.run(|thread| {
            let (mut random, mut bought) = (thread, 0);
            for number in 0..250 {
                let user = format!("user {thread} {number}");
                let outcome = hall.checkout(&user, "hot", 1 + number % 2);
                match (outcome, splitmix64(&mut random) % 3) {
                    (CheckoutOutcome::Accepted { .. }, 0) => {}
                    (CheckoutOutcome::Accepted { code, .. }, _) => bought += hall.purchase(code),
                    _ => {}
                }
                hall.clock.advance_us(50_000);
                hall.engine.release_expired();
            }
            bought
        });
        // Whatever is still held runs out, and is sold to the last unit.
        hall.clock.advance_us(2_000_000);
        hall.engine.release_expired();
        assert_eq!(hall.sale.figures().held, 0);
        let mut rest = 0;
        for number in 0..=STOCK {
            if let CheckoutOutcome::Accepted { code, .. } =
                hall.checkout(&format!("late {number}"), "hot", 1)
            {
                rest += hall.purchase(code);
            }
        }
        assert_eq!(hall.finish(bought + rest).sold, STOCK);
    });
}

#[test]
fn a_sale_that_is_closed_sells_no_more() {
    for hold_seconds in [0, 60] {
        on_both_disks(|disk, dir| {
            let hall = Hall::new(disk, dir, hold_seconds);
            let bought = hall.run(|thread| {
                let mut bought = 0;
                for number in 0..60 {
                    if thread == 0 && number == 20 {
                        assert!(hall.engine.close_sale(SaleId(1)).is_some());
                    }
                    let user = format!("user {thread} {number}");
                    match hall.checkout(&user, "hot", 1) {
                        CheckoutOutcome::Accepted { .. } if number % 4 == 3 => {}
                        CheckoutOutcome::Accepted { code, .. } => bought += hall.purchase(code),
                        outcome => assert_eq!(outcome, CheckoutOutcome::SaleNotActive),
                    }
                }
                bought
            });
            let figures = hall.finish(bought);
            assert_eq!(figures.held, 0);
            assert!(figures.sold >= 15 && figures.sold < 240);
        });
    }
}

/// Users who ask several times at once, as clients do that have lost an answer.
#[test]
fn one_key_takes_one_unit_however_often_it_comes_at_once() {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    let hall = Hall::new(disk, Path::new("/journal"), 60);
    let ask = |user: &str| {
        let request = CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new("hot").expect("an id"),
            quantity: 1,
            sale: None,
            key: Some(IdempotencyKey::new("once").expect("a key")),
        };
        loop {
            let decision = hall.engine.checkout(&request);
            match decision.outcome {
                CheckoutOutcome::Unavailable(_) => thread::yield_now(),
                CheckoutOutcome::Accepted {
                    code, items_count, ..
                } => {
                    assert_eq!(items_count, 1);
                    return (code, decision.lsn.expect("it rests on a record"));
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let answers = std::sync::Mutex::new(std::collections::HashMap::new());
    hall.run(|_| {
        for user in 0..100 {
            let answer = ask(&format!("user {user}"));
            let mut answers = answers.lock().expect("no panic");
            let first = *answers.entry(user).or_insert(answer);
            assert_eq!(first, answer, "user {user}");
        }
        0
    });
    let figures = hall.finish(0);
    assert_eq!(figures.held, 100);
}

/// A power cut before that record is durable would make the unit free again, and whoever was refused would have been
/// sent away for good from something that can still be had.
#[test]
fn sold_out_rests_on_the_record_of_the_last_sale() {
    for (stock, hold_seconds) in [(1, 0), (1, 60), (3, 0), (3, 60)] {
        let names: Vec<String> = (0..200).map(|number| format!("item {number}")).collect();
        let items: Vec<_> = names.iter().map(|name| (name.as_str(), stock)).collect();
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let hall = Hall::of(disk, Path::new("/journal"), hold_seconds, &items);
        let sold: Vec<_> = names.iter().map(|_| Mutex::new(Vec::new())).collect();
        let refused = Mutex::new(Vec::new());
        let bought = hall.run(|thread| {
            let mut bought = 0;
            for (number, name) in names.iter().enumerate() {
                // Also more units than one: these are refused for good while some are left.
                for (attempt, quantity) in
                    (0..stock).flat_map(|attempt| [(attempt, 1), (attempt, 2)])
                {
                    let user = format!("user {thread} {number} {attempt} {quantity}");
                    let decision = hall.engine.checkout(&CheckoutRequest {
                        user: UserId::new(&user).expect("an id"),
                        item: ItemId::new(name).expect("an id"),
                        quantity,
                        sale: None,
                        key: None,
                    });
                    match decision.outcome {
                        CheckoutOutcome::Accepted { code, .. } => {
                            let mut decision = hall.engine.purchase(code, None);
                            while matches!(decision.outcome, PurchaseOutcome::Unavailable(_)) {
                                thread::yield_now();
                                decision = hall.engine.purchase(code, None);
                            }
                            let lsn = decision.lsn.expect("it rests on a record").0;
                            if let PurchaseOutcome::Processed { result, .. } = decision.outcome
                                && result.lines[0].sold
                            {
                                let mut sold = sold[number].lock().expect("no panic");
                                (0..quantity).for_each(|_| sold.push(lsn));
                                bought += u64::from(quantity);
                            }
                        }
                        CheckoutOutcome::ItemSoldOut => {
                            let lsn = decision.lsn.expect("it rests on a record").0;
                            refused
                                .lock()
                                .expect("no panic")
                                .push((number, quantity, lsn));
                        }
                        _ => {}
                    }
                }
            }
            bought
        });
        for (number, quantity, lsn) in refused.into_inner().expect("no panic") {
            let mut sold = sold[number].lock().expect("no panic");
            sold.sort_unstable();
            // So many units at least were sold when that was said, and not all of them by earlier records.
            let least = (stock as usize + 1).saturating_sub(quantity as usize);
            let needed = least.checked_sub(1).map_or(0, |index| sold[index]);
            assert!(
                lsn >= needed,
                "item {number}: refused {quantity} by {lsn}, sold by {sold:?}"
            );
        }
        hall.finish(bought);
    }
}
