//! A journal on a real disk, used by several threads as fast as they can while it is copied again and
//! again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flashsale::env::{Disk, RealDisk};
use flashsale::types::{CheckoutCode, SaleId};
use parking_lot::Mutex;

use crate::backup::shop::{ITEMS, Shop, recover_copy, secrets};

const BUYERS: u32 = 8;
const COPIES: u32 = 25;

struct Load {
    shop: Shop,
    over: AtomicBool,
    sale: AtomicU32,
    /// Checkouts that were answered.
    answered: Mutex<Vec<CheckoutCode>>,
}

impl Load {
    fn buy(&self, buyer: u32) {
        let mut number = 0_u32;
        while !self.over.load(Ordering::Relaxed) {
            number += 1;
            let sale = SaleId(self.sale.load(Ordering::Relaxed));
            let user = format!("buyer-{buyer}-{number}");
            if let Some(code) = self.shop.choose(sale, &user, number % ITEMS) {
                self.answered.lock().push(code);
                if number.is_multiple_of(2) {
                    self.shop.purchase(code);
                }
            }
        }
    }

    /// Ends sales, takes snapshots and trims, faster than any server would.
    fn keep_house(&self) {
        let mut round = 0_u32;
        while !self.over.load(Ordering::Relaxed) {
            round += 1;
            if round.is_multiple_of(3) {
                self.shop.end_sales();
                self.sale.store(self.shop.create().0, Ordering::Relaxed);
            }
            self.shop.snapshot();
            self.shop.trim();
        }
    }
}

/// Waits until some more were answered, so that no two copies are of the same journal.
fn wait_for_answers(load: &Load) {
    let wanted = load.answered.lock().len() + 10;
    let deadline = Instant::now() + Duration::from_secs(60);
    while load.answered.lock().len() < wanted {
        assert!(Instant::now() < deadline, "nothing is answered any more");
        thread::sleep(Duration::from_millis(1));
    }
}

fn check_a_copy(load: &Load, number: u32) {
    wait_for_answers(load);
    let answered = load.answered.lock().clone();
    let durable = load.shop.engine.journal().durable();
    let target = tempfile::tempdir().expect("a directory");
    let copied = load.shop.copy_to(&RealDisk, &RealDisk, target.path());
    assert!(copied.last_lsn >= durable, "copy {number}: {copied:?}");
    // The copier may know of the last batch's sync before the journal does.
    let journal = load.shop.engine.journal();
    journal.wait(copied.last_lsn).expect("the disk works");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let state = recover_copy(&disk, target.path(), &copied);
    let found: HashSet<u128> = secrets(&RealDisk, target.path(), &state);
    for code in &answered {
        assert!(found.contains(&code.secret), "copy {number}: {code}");
    }
}

#[test]
fn what_was_answered_before_a_copy_began_is_in_it() {
    let source = tempfile::tempdir().expect("a directory");
    let shop = Shop::open(Arc::new(RealDisk), source.path());
    let sale = shop.create().0.into();
    let load = Load {
        shop,
        over: AtomicBool::new(false),
        sale,
        answered: Mutex::new(Vec::new()),
    };
    thread::scope(|scope| {
        let load = &load;
        for buyer in 0..BUYERS {
            scope.spawn(move || load.buy(buyer));
        }
        scope.spawn(|| load.keep_house());
        // A panic must not leave the others running.
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..COPIES).for_each(|number| check_a_copy(load, number));
        }));
        load.over.store(true, Ordering::Relaxed);
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    });
}
