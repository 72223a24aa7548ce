//! The opening of a sale is recorded once, before the first checkout and before the closing, whoever comes first.

use std::sync::Arc;

use flashsale::record::{CatalogueKind, SaleTerms};
use loom::thread;

use super::catalogue::Catalogue;
use super::sale::Sale;
use crate::check;
use crate::sync::Mutex;
use crate::types::{Lsn, PaymentTerms, SaleId, Timestamp};

/// A record that the journal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Opened,
    Chosen,
    Paused,
    Closed,
}

struct Hall {
    sale: Sale,
    journal: Mutex<Vec<Said>>,
    /// As of the engine: the schedule, a pause and the closing come one after the other.
    administration: Mutex<()>,
}

impl Hall {
    fn new() -> Arc<Self> {
        let (seed, item_count) = (0, 1);
        let sale = SaleId(1);
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Generated { seed, item_count },
        };
        let catalogue = Catalogue::Generated {
            sale,
            seed,
            item_count,
        };
        let hall = Self {
            sale: Sale::new(sale, terms, catalogue),
            journal: Mutex::default(),
            administration: Mutex::default(),
        };
        hall.sale.phase.await_opening();
        Arc::new(hall)
    }

    fn say(&self, said: Said) -> Lsn {
        let mut journal = self.journal.lock();
        journal.push(said);
        Lsn(journal.len() as u64)
    }

    fn open(&self) -> Result<(), std::convert::Infallible> {
        self.sale.phase.ensure_opening(|| {
            self.say(Said::Opened);
            Ok(())
        })
    }

    /// As in a checkout.
    fn choose(&self, user: &str) {
        let _locked = self.sale.buyers.lock_user(user);
        let open = || self.open().map_err(|never| match never {});
        if self.sale.refusal_of_checkouts(open).is_none() {
            self.say(Said::Chosen);
        }
    }

    /// As the schedule does.
    fn open_in_time(&self) {
        let _one_at_a_time = self.administration.lock();
        if self.sale.phase.awaits_opening() {
            let Ok(()) = self.open();
        }
    }

    fn pause(&self) {
        let _one_at_a_time = self.administration.lock();
        self.sale.pause(|| {
            self.say(Said::Paused);
        });
    }

    fn close(&self) {
        let _one_at_a_time = self.administration.lock();
        self.sale.close(Timestamp(1), || self.say(Said::Closed));
    }

    fn check(&self) {
        let journal = self.journal.lock().clone();
        let places = |wanted| {
            let said = journal.iter().enumerate();
            said.filter(move |(_, said)| **said == wanted)
                .map(|(place, _)| place)
        };
        let opened: Vec<_> = places(Said::Opened).collect();
        assert!(opened.len() <= 1, "{journal:?}");
        let opened = opened.first().copied();
        for chosen in places(Said::Chosen) {
            assert!(opened.is_some_and(|opened| opened < chosen), "{journal:?}");
            let ends = [Said::Paused, Said::Closed].map(|end| places(end).next());
            let is_over = ends.into_iter().flatten().any(|end| end < chosen);
            assert!(!is_over, "{journal:?}");
        }
        let closed = places(Said::Closed).next();
        assert!(
            closed.is_none_or(|closed| closed + 1 == journal.len()),
            "{journal:?}"
        );
        if opened.is_some() {
            assert!(!self.sale.phase.awaits_opening());
        }
    }
}

fn race(steps: [fn(&Hall); 3]) {
    check(3, move || {
        let hall = Hall::new();
        let [here, others @ ..] = steps;
        let others = others.map(|step| {
            let hall = Arc::clone(&hall);
            thread::spawn(move || step(&hall))
        });
        here(&hall);
        for other in others {
            other.join().expect("no panic");
        }
        hall.check();
    });
}

#[test]
fn an_opening_is_recorded_once_and_first() {
    race([
        |hall| hall.choose("ada"),
        |hall| hall.choose("bob"),
        Hall::open_in_time,
    ]);
}

#[test]
fn nothing_is_opened_behind_the_closing() {
    race([|hall| hall.choose("ada"), Hall::open_in_time, Hall::close]);
}

#[test]
fn a_pause_leaves_the_opening_to_be_recorded() {
    race([|hall| hall.choose("ada"), Hall::open_in_time, Hall::pause]);
}
