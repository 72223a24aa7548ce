//! Clients buy as fast as they can, the process is killed in the middle of it, and nothing that was
//! answered may be lost, sold twice or half done. Again and again, on one journal.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use flashsale::env::splitmix64;

use crate::client::Client;
use crate::history::{Event, History};
use crate::server::{Server, wait_for};

const STOCK: u64 = 3_000;
const UNITS_PER_USER_MAX: usize = 10;
const USERS: u64 = 500;
const CLIENTS: u64 = 6;
const ROUNDS_MIN: u32 = 20;
const ROUNDS_MAX: u32 = 80;
const ANSWERS_MIN: u64 = 50;
/// Sets the seed, to see a failure again. Threads and kills still come when they come.
const SEED_VARIABLE: &str = "FLASHSALE_TEST_SEED";

struct Random(u64);

impl Random {
    fn seed() -> u64 {
        use std::hash::{BuildHasher, RandomState};
        let given = std::env::var(SEED_VARIABLE).map(|text| text.parse().expect("a number"));
        given.unwrap_or_else(|_| RandomState::new().hash_one(0))
    }

    fn below(&mut self, end: u64) -> u64 {
        splitmix64(&mut self.0) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = (!from.is_empty()).then(|| self.below(from.len() as u64))?;
        from.get(place as usize)
    }
}

/// The state that the clients of one round share.
struct Round {
    number: u32,
    sale: String,
    /// Items that were unsold when the round began.
    available: Vec<String>,
    /// Codes that somebody left without purchasing.
    abandoned: Mutex<Vec<String>>,
    /// Codes of purchases that were answered in earlier rounds, with their keys.
    processed: Vec<(String, Option<String>)>,
    answered: AtomicU64,
    sold: AtomicU64,
}

/// One client with its connection.
struct Shopper<'a> {
    round: &'a Round,
    client: Client,
    random: Random,
    events: Vec<Event>,
    name: String,
    keys: u32,
}

impl Shopper<'_> {
    /// Buys until the connection breaks.
    fn run(mut self) -> Vec<Event> {
        while self.session().is_ok() {}
        self.events
    }

    fn session(&mut self) -> io::Result<()> {
        match self.random.below(10) {
            0 => match self.random.pick(&self.round.processed).cloned() {
                Some((code, key)) => self.purchase(&code, key).map(drop),
                None => Ok(()),
            },
            1 => {
                let abandoned = self.round.abandoned.lock().expect("no panic").pop();
                abandoned.map_or(Ok(()), |code| self.buy(&code))
            }
            _ => self.shop(),
        }
    }

    /// Chooses one to four items and mostly purchases them.
    fn shop(&mut self) -> io::Result<()> {
        let user = match self.random.one_in(20) {
            true => format!("eager-{}", self.random.below(3)),
            false => format!("user-{}", self.random.below(USERS)),
        };
        let mut code = None;
        for _ in 0..1 + self.random.below(4) {
            code = self.choose(&user)?.or(code);
        }
        match code {
            Some(code) if self.random.one_in(10) => {
                self.round.abandoned.lock().expect("no panic").push(code);
                Ok(())
            }
            Some(code) => self.buy(&code),
            None => Ok(()),
        }
    }

    fn choose(&mut self, user: &str) -> io::Result<Option<String>> {
        let of_sale = |index| format!("ITM-{}-{index}", self.round.sale);
        let item = match self.random.below(10) {
            // Everybody wants these.
            0 | 1 => of_sale(u64::from(self.round.number) * 5 + self.random.below(5)),
            2 => of_sale(self.random.below(STOCK)),
            _ => match self.random.pick(&self.round.available) {
                Some(item) => item.clone(),
                None => of_sale(0),
            },
        };
        let target = format!("/checkout?user_id={user}&id={item}");
        let answer = self.client.try_send("POST", &target, &[], b"");
        let code = match &answer {
            Ok(answer) if answer.status == 200 => Some(answer.code()),
            Ok(answer) => {
                let error = answer.error();
                let expected = [
                    "item_sold_out",
                    "item_already_in_checkout",
                    "user_limit_exceeded",
                ];
                assert!(expected.contains(&&*error), "{}", answer.text());
                None
            }
            Err(_) => None,
        };
        if code.is_some() || answer.is_err() {
            let (user, code) = (user.to_owned(), code.clone());
            self.events.push(Event::Chosen { user, item, code });
        }
        self.count(answer.map(|_| code))
    }

    /// Purchases, now and then twice, with a key or without one.
    fn buy(&mut self, code: &str) -> io::Result<()> {
        let key = self.random.one_in(2).then(|| {
            self.keys += 1;
            format!("{}-{}", self.name, self.keys)
        });
        let sold = self.purchase(code, key.clone())?;
        self.round.sold.fetch_add(sold, Ordering::Relaxed);
        if self.random.one_in(10) {
            self.purchase(code, key)?;
        }
        Ok(())
    }

    /// The units that the answer says are sold.
    fn purchase(&mut self, code: &str, key: Option<String>) -> io::Result<u64> {
        let answer = try_purchase(&mut self.client, code, key.as_deref());
        let sold = answer.as_ref().map_or(0, |answer| {
            answer.json()["total_purchased"].as_u64().unwrap_or(0)
        });
        let (code, result) = (code.to_owned(), answer.as_ref().map(|_| sold).map_err(copy));
        let answer = answer.ok();
        self.events.push(Event::Purchased { code, key, answer });
        self.count(result)
    }

    fn count<T>(&self, answer: io::Result<T>) -> io::Result<T> {
        if answer.is_ok() {
            self.round.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.kind().into()
}

fn try_purchase(
    client: &mut Client,
    code: &str,
    key: Option<&str>,
) -> io::Result<crate::client::Answer> {
    let key = key.map(|key| ("idempotency-key", key));
    client.try_send(
        "POST",
        &format!("/purchase?code={code}"),
        key.as_slice(),
        b"",
    )
}

/// The sale over all rounds.
struct Sale {
    server: Server,
    history: History,
    random: Random,
}

impl Sale {
    /// Lets clients buy until `answers` were given, and kills the server while they go on. Whether
    /// anything was sold.
    fn buy_until_killed(&mut self, number: u32, answers: u64) -> bool {
        let mut client = self.server.client();
        let processed = self.history.baskets.iter().filter_map(|(code, basket)| {
            let outcome = basket.outcome.as_ref()?;
            Some((code.clone(), outcome.key.clone()))
        });
        let round = Round {
            number,
            sale: client.active_sale().0,
            available: available(&mut client),
            abandoned: Mutex::new(self.history.codes(|basket| basket.outcome.is_none())),
            processed: processed.collect(),
            answered: AtomicU64::new(0),
            sold: AtomicU64::new(0),
        };
        let events = thread::scope(|scope| {
            let start = |index| {
                let shopper = Shopper {
                    round: &round,
                    client: self.server.client(),
                    random: Random(splitmix64(&mut self.random.0)),
                    events: Vec::new(),
                    name: format!("{number}-{index}"),
                    keys: 0,
                };
                scope.spawn(move || shopper.run())
            };
            let shoppers: Vec<_> = (0..CLIENTS).map(start).collect();
            wait_for("answers", || {
                let enough = round.answered.load(Ordering::Relaxed) >= answers;
                let over = shoppers.iter().all(|shopper| shopper.is_finished());
                (enough || over).then_some(())
            });
            self.server.kill_9();
            let ends = shoppers.into_iter().map(thread::ScopedJoinHandle::join);
            ends.flat_map(|events| events.expect("no panic"))
                .collect::<Vec<_>>()
        });
        let (answered, sold) = (round.answered.into_inner(), round.sold.into_inner());
        assert!(answered >= answers, "the server broke off by itself");
        self.history.add(events);
        eprintln!(
            "round {number}: killed after {answered} answers, {sold} units sold, {} purchases open",
            self.history.unresolved().len()
        );
        sold > 0
    }

    /// Finds out what became of the purchases that were not answered, and checks that what the
    /// server has sold is exactly that and what it had answered.
    fn resolve(&mut self) {
        let mut client = self.server.client();
        let (_, items_sold) = client.active_sale();
        let mut sold_now = 0;
        for code in self.history.unresolved() {
            let key = self.history.baskets[&code].unanswered[0].clone();
            let before = self.history.sold();
            let answer = try_purchase(&mut client, &code, None).expect("an answer");
            let was_there = answer.error_if_any().as_deref() == Some("already_processed");
            let answer = Some(answer);
            let asked = Event::Purchased {
                code: code.clone(),
                key: None,
                answer,
            };
            self.history.add(vec![asked]);
            if !was_there {
                sold_now += self.history.sold() - before;
            } else if let (Some(key), [_]) = (&key, &*self.history.baskets[&code].unanswered) {
                let outcome = self.history.baskets[&code].outcome.clone();
                let outcome = outcome.expect("just found out");
                let again = try_purchase(&mut client, &code, Some(key)).expect("an answer");
                assert!(outcome.is_repeated_by(&again), "{code}: {}", again.text());
            }
        }
        assert_eq!(
            self.history.sold() - sold_now,
            items_sold,
            "what was answered is not what is sold"
        );
        assert!(items_sold <= STOCK, "more sold than there is");
        self.history.check(UNITS_PER_USER_MAX);
    }

    /// Asks again for every outcome and checkout that `wanted` picks.
    fn recheck(&mut self, mut wanted: impl FnMut(&mut Random) -> bool) {
        let mut client = self.server.client();
        for code in self.history.codes(|_| true) {
            if !wanted(&mut self.random) {
                continue;
            }
            let basket = &self.history.baskets[&code];
            let Some(outcome) = &basket.outcome else {
                let item = basket.items.first().expect("what it was opened with");
                let answer = client.checkout(&basket.user, item);
                let known = ["item_already_in_checkout", "user_limit_exceeded"];
                assert!(known.contains(&&*answer.error()), "{code}: {item} is lost");
                continue;
            };
            let again = client.purchase(&code);
            assert!(outcome.is_refused_by(&again), "{code}: {}", again.text());
            if let Some(key) = &outcome.key {
                let again = client.purchase_with_key(&code, key);
                assert!(outcome.is_repeated_by(&again), "{code}: {}", again.text());
            }
        }
    }

    /// Purchases every checkout that is still open.
    fn purchase_what_is_open(&mut self) {
        let mut client = self.server.client();
        for code in self.history.codes(|basket| basket.outcome.is_none()) {
            let answer = client.purchase(&code);
            assert!([200, 409].contains(&answer.status), "{}", answer.text());
            let (key, answer) = (None, Some(answer));
            let asked = Event::Purchased { code, key, answer };
            self.history.add(vec![asked]);
        }
    }
}

/// The items that can still be bought.
fn available(client: &mut Client) -> Vec<String> {
    let (sale, _) = client.active_sale();
    let mut target = format!("/sales/{sale}/items?available=true&limit=1000");
    let mut items = Vec::new();
    loop {
        let page = client.get(&target).ok();
        let list = page.json();
        let list = list.as_array().expect("a list");
        items.extend(
            list.iter()
                .map(|item| item["id"].as_str().expect("an id").to_owned()),
        );
        match page.next(&target) {
            Some(next) => target = next,
            None => return items,
        }
    }
}

#[test]
fn nothing_that_was_answered_is_lost_or_sold_twice() {
    let seed = Random::seed();
    eprintln!("{SEED_VARIABLE}={seed}");
    let settings = [
        ("SALE_TOTAL_ITEMS", "3000"),
        ("SALE_MAX_ITEMS_PER_USER", "10"),
    ];
    let mut sale = Sale {
        server: Server::start(&settings),
        history: History::default(),
        random: Random(seed),
    };
    let (mut number, mut counted, mut sold_out) = (0, 0, false);
    while counted < ROUNDS_MIN || !sold_out {
        assert!(number < ROUNDS_MAX, "{counted} rounds counted");
        assert!(counted >= ROUNDS_MIN || !sold_out, "sold out too early");
        let answers_max = if counted < ROUNDS_MIN { 250 } else { 2_000 };
        let answers = ANSWERS_MIN + sale.random.below(answers_max - ANSWERS_MIN);
        counted += u32::from(sale.buy_until_killed(number, answers));
        number += 1;
        sale.server.restart();
        sale.resolve();
        sale.recheck(|random| random.one_in(20));
        sold_out = sale.server.client().active_sale().1 == STOCK;
    }
    sale.purchase_what_is_open();
    sale.server.kill_9();
    sale.server.restart();
    sale.resolve();
    sale.recheck(|_| true);
    assert_eq!(sale.history.sold(), STOCK, "every unit has its buyer");
    let place = sale.server.stop();
    let report = place.report(&["journal", "verify"]);
    assert!(
        report.contains("3000 units = 3000 sold + 0 held + 0 free"),
        "{report}"
    );
}
