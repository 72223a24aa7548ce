//! A run: a server, its buyers, and whoever kills it.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{PATIENCE, Place, Server, wait_for};
use crate::soak::auditor::{Audited, Auditor};
use crate::soak::book::Book;
use crate::soak::figures::{self, Figures};
use crate::soak::link::{Link, Shown};
use crate::soak::random::Random;
use crate::soak::shared::Shared;
use crate::soak::shopper::Shopper;

/// Units of every sale: a busy second sells them, a slow one does not.
pub const STOCK: u64 = 40;
/// Units that a user may buy.
pub const UNITS_PER_USER_MAX: usize = 4;
/// Buyers at the same time.
pub const BUYERS: usize = 4;

const ROTATIONS_VARIABLE: &str = "FLASHSALE_SOAK_ROTATIONS";
const ROTATIONS_DEFAULT: u32 = 12;
/// In how many parts kills divide a run, at most; and how many rotations are between two, at least.
const KILLS_MAX: u32 = 20;
const ROTATIONS_PER_KILL_MIN: u32 = 4;

/// What kind of sales a run has.
#[derive(Clone, Copy)]
pub struct Plan {
    pub name: &'static str,
    pub interval_seconds: u32,
    pub hold_seconds: u32,
}

impl Plan {
    /// As many as are asked for of the shortest sales; fewer of longer ones, which end at the same time.
    fn rotations(self) -> u32 {
        let given = std::env::var(ROTATIONS_VARIABLE).map(|text| text.parse().expect("a number"));
        (given.unwrap_or(ROTATIONS_DEFAULT) / self.interval_seconds).max(1)
    }

    fn furnish(self, place: &mut Place) {
        for (key, value) in [
            ("SALE_INTERVAL_SECONDS", u64::from(self.interval_seconds)),
            ("SALE_HOLD_SECONDS", u64::from(self.hold_seconds)),
            ("SALE_TOTAL_ITEMS", STOCK),
            ("SALE_MAX_ITEMS_PER_USER", UNITS_PER_USER_MAX as u64),
            // They leave memory as soon as they may, and are asked about all the time.
            ("SALE_KEEP_ENDED_SECONDS", 0),
        ] {
            place.set(key, &value.to_string());
        }
    }
}

/// Runs sales for as many rotations as are wanted, and panics unless all of it was right.
pub fn soak(plan: Plan, mut place: Place) {
    plan.furnish(&mut place);
    let mut server = Server::start_in(place);
    let shared = Shared::new(server.addr());
    let mut figures = Figures::default();
    let rotations = plan.rotations();
    let audited = thread::scope(|scope| {
        let (sender, reports) = mpsc::channel();
        let auditor = Auditor::new(plan, Link::new(&shared));
        let auditor = scope.spawn(|| auditor.run(reports));
        let mut buyers: Vec<_> = (0..BUYERS)
            .map(|number| Shopper::new(number, plan, Link::new(&shared), sender.clone()))
            .map(|buyer| scope.spawn(|| buyer.run()))
            .collect();
        drop(sender);
        rotate(&mut server, &shared, &mut figures, rotations, || {
            buyers.iter().any(|buyer| buyer.is_finished()) || auditor.is_finished()
        });
        shared.stopped.store(true, Ordering::Release);
        buyers
            .drain(..)
            .for_each(|buyer| buyer.join().expect("no panic"));
        auditor.join().expect("no panic")
    });
    finish(plan, server, &shared, &figures, &audited);
}

/// Lets sales pass, and kills the server now and then. Ends early once `is_over`.
fn rotate(
    server: &mut Server,
    shared: &Shared,
    figures: &mut Figures,
    rotations: u32,
    is_over: impl Fn() -> bool,
) {
    let (mut link, mut random) = (Link::new(shared), Random::new());
    let rotations_per_kill = (rotations / KILLS_MAX).max(ROTATIONS_PER_KILL_MIN);
    let (mut passed, mut kill_at) = (0, rotations_per_kill);
    while passed < rotations && !is_over() {
        figures.look(passed, server, false);
        passed = wait_for("the next sale", || {
            let sale = link.active_sale()?.sale;
            (sale > passed + 1 || is_over()).then(|| sale - 1)
        });
        if passed >= kill_at && passed < rotations {
            kill_at = passed + rotations_per_kill;
            figures.add_start(kill(server, shared, &mut random));
        }
    }
    figures.look(passed, server, true);
}

/// Kills the server somewhere in a second, and starts it again: at once, or after the next boundary.
fn kill(server: &mut Server, shared: &Shared, random: &mut Random) -> Duration {
    thread::sleep(Duration::from_millis(random.below(1000)));
    *shared.address.lock().expect("no panic") = None;
    server.kill_9();
    if random.one_in(3) {
        thread::sleep(Duration::from_millis(random.below(2500)));
    }
    let begun = Instant::now();
    server.restart();
    *shared.address.lock().expect("no panic") = Some(server.addr());
    begun.elapsed()
}

/// Holds what buyers were told against everything that can be looked at.
fn finish(plan: Plan, mut server: Server, shared: &Shared, figures: &Figures, audited: &[Audited]) {
    compare_list(&mut Link::new(shared), audited);
    // Followers may be behind.
    let address = server.addr().to_string();
    let begun = Instant::now();
    loop {
        let output = server.place().run(&["verify", "--server", &address]);
        if output.status.success() {
            break;
        }
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(begun.elapsed() < PATIENCE, "{report}");
    }

    *shared.address.lock().expect("no panic") = None;
    server.kill_9();
    let verified = server.place().report(&["journal", "verify"]);
    assert!(verified.contains("nothing oversold"), "{verified}");
    server.restart();
    *shared.address.lock().expect("no panic") = Some(server.addr());
    remember_all(&mut Link::new(shared));
    compare_list(&mut Link::new(shared), audited);
    // What has ended is closed when the clock of the start has proved steady.
    wait_for("the closing of all sales", || {
        let listing = server.place().run(&["journal", "inspect", "--records"]);
        let book = Book::read(&String::from_utf8_lossy(&listing.stdout));
        book.has_closed(audited).then_some(())
    });
    let place = server.stop();
    let listing = place.report(&["journal", "inspect", "--records"]);
    let book = Book::read(&listing);
    book.compare(audited);

    figures.print(plan.name, audited, book.expired(), shared);
    figures::print_journal(&place.journal_dir(), &listing);
}

/// The list of all sales must still show those that are over as they were.
fn compare_list(link: &mut Link<'_>, audited: &[Audited]) {
    let mut target = "/sales?status=ended&limit=100".to_owned();
    let mut listed = Vec::new();
    loop {
        let page = link.get(&target).ok();
        listed.extend(
            page.json()
                .as_array()
                .expect("a list")
                .iter()
                .map(Shown::of),
        );
        match page.next(&target) {
            Some(next) => target = next,
            None => break,
        }
    }
    // Newest first, and some have ended since.
    listed.reverse();
    let expected = audited.iter().map(|sale| &sale.shown);
    assert!(
        listed
            .iter()
            .zip(expected.clone())
            .all(|(one, other)| one == other)
    );
    assert!(listed.len() >= expected.len(), "sales are missing");
}

/// Every code that was asked about must still have the same answer.
fn remember_all(link: &mut Link<'_>) {
    let settled = link.shared.settled.lock().expect("no panic").clone();
    for one in settled {
        for (key, first) in [
            (None, &one.without_key),
            (one.key.as_deref(), &one.with_key),
        ] {
            let answer = link.purchase(&one.code, key);
            let again = (answer.status, answer.text().to_owned());
            assert_eq!(again, *first, "{}", one.code);
        }
    }
}
