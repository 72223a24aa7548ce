//! The idempotency keys of checkouts: a lost answer comes again.

use std::thread;

use crate::client::{Answer, Client};
use crate::server::{Place, Server};

const SETTINGS: [(&str, &str); 2] = [("SALE_TOTAL_ITEMS", "40"), ("SALE_MAX_ITEMS_PER_USER", "3")];

fn shop() -> (Server, Client) {
    let server = Server::start(&SETTINGS);
    let client = server.client();
    (server, client)
}

fn told(answer: Answer) -> (u16, String) {
    (answer.status, answer.text().to_owned())
}

#[test]
fn a_lost_checkout_answer_comes_again_byte_for_byte() {
    let (mut server, mut client) = shop();
    let ask = |client: &mut Client, item: &str, key: &str| {
        told(client.checkout_with_key("ada", item, key))
    };
    let first = ask(&mut client, "ITM-1-0", "a");
    assert_eq!(first.0, 200, "{first:?}");
    let second = ask(&mut client, "ITM-1-1", "b");
    // What was put into the checkout since does not show.
    assert_eq!(ask(&mut client, "ITM-1-0", "a"), first);
    assert_eq!(ask(&mut client, "ITM-1-1", "b"), second);
    let code = client.choose("ada", &["ITM-1-2"]);
    assert!(first.1.contains(&code) && second.1.contains("\"items_count\":2"));

    let repeats = |client: &mut Client, when: &str| {
        assert_eq!(ask(client, "ITM-1-0", "a"), first, "{when}");
        assert_eq!(ask(client, "ITM-1-1", "b"), second, "{when}");
    };
    server.kill_9();
    server.restart();
    let mut client = server.client();
    repeats(&mut client, "after a crash");
    let sold = client.purchase(&code).ok().json();
    assert_eq!(sold["total_purchased"], 3, "nothing was chosen twice");
    repeats(&mut client, "when it is purchased");
    let over = client.checkout_with_key("ada", "ITM-1-3", "c");
    over.refused(400, "user_limit_exceeded", "limit");
    client.post("/admin/sales/1/close").ok();
    repeats(&mut client, "when the sale is over");
    let late = client.checkout_with_key("ada", "ITM-1-4", "d");
    late.refused(400, "sale_not_active", "not active");
    server.terminate();
    server.restart();
    repeats(&mut server.client(), "after a stop");
    server.terminate();
    server.place().report(&["verify"]);
}

#[test]
fn a_key_comes_again_with_the_same_item_only() {
    let (_server, mut client) = shop();
    client.checkout_with_key("ada", "ITM-1-0", "k").ok();
    let other = client.checkout_with_key("ada", "ITM-1-1", "k");
    other.refused(409, "idempotency_key_reused", "Idempotency-Key");
    // Another user's key is another one.
    client.checkout_with_key("bob", "ITM-1-1", "k").ok();
    // A refusal is no answer to be kept.
    let taken = client.choose("eve", &["ITM-1-2"]);
    client.purchase(&taken).ok();
    let gone = client.checkout_with_key("ada", "ITM-1-2", "l");
    gone.refused(409, "item_sold_out", "sold");
    client.checkout_with_key("ada", "ITM-1-3", "l").ok();
    // The purchase's keys are others.
    let code = client.choose("bob", &["ITM-1-4"]);
    client.purchase_with_key(&code, "k").ok();
}

#[test]
fn keys_of_1_to_255_characters_are_taken() {
    let (_server, mut client) = shop();
    let longest = "~".repeat(255);
    let first = told(client.checkout_with_key("ada", "ITM-1-0", &longest).ok());
    assert_eq!(
        told(client.checkout_with_key("ada", "ITM-1-0", &longest)),
        first
    );
    client.checkout_with_key("bob", "ITM-1-1", "!").ok();
    let (long, target) = ("k".repeat(256), "/checkout?user_id=eve&id=ITM-1-2");
    for key in [&*long, "", "a b", "\u{fc}"] {
        let answer = client.send("POST", target, &[("Idempotency-Key", key)], b"");
        answer.invalid(&["idempotency_key"]);
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    let answer = client.send("POST", target, &twice, b"");
    answer.invalid(&["idempotency_key"]);
    let code = client.choose("eve", &["ITM-1-2"]);
    client.purchase_with_key(&code, &longest).ok();
    client.purchase_with_key(&code, &longest).ok();
    let answer = client.purchase_with_key(&code, &long);
    answer.invalid(&["idempotency_key"]);
}

#[test]
fn the_same_key_at_the_same_moment_gets_the_same_answer() {
    let (server, mut client) = shop();
    for round in 0..10 {
        let (user, item) = (format!("user {round}"), format!("ITM-1-{round}"));
        let ask = || told(server.client().checkout_with_key(&user, &item, "k"));
        let answers: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            let answers = asking.into_iter().map(|asking| asking.join());
            answers.map(|answer| answer.expect("no panic")).collect()
        });
        assert_eq!(answers[0].0, 200, "{answers:?}");
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        // The user has room for two more, so that one unit was chosen.
        client.choose(
            &user,
            &[
                &format!("ITM-1-{}", 10 + round),
                &format!("ITM-1-{}", 20 + round),
            ],
        );
    }
    let health = client.get("/health").ok().json();
    let checkouts = &health["latency"]["checkout"];
    assert_eq!(checkouts["replayed"]["count"], 30, "{checkouts}");
    assert_eq!(checkouts["accepted"]["count"], 30, "{checkouts}");
}

#[test]
fn an_item_that_is_chosen_already_says_in_which_checkout() {
    let (server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1", "ITM-1-2"]);
    // Also where the limit is reached: the answer that was lost may have been the last one.
    let again = client.checkout("ada", "ITM-1-2");
    let again = again.refused(400, "item_already_in_checkout", "already");
    assert_eq!(again.json()["code"], code.as_str());
    let target = "/checkout?user_id=ada&id=ITM-1-0";
    let rfc_9457 = [("Accept", "application/problem+json")];
    let again = client.send("POST", target, &rfc_9457, b"").json();
    assert_eq!(again["code"], code.as_str(), "{again}");
    let over = client.checkout("ada", "ITM-1-3");
    let over = over.refused(400, "user_limit_exceeded", "limit");
    assert_eq!(over.code_if_any(), None);
    client.purchase(&code).ok();
    // It is bought, and in no checkout.
    let bought = client.checkout("ada", "ITM-1-0");
    let bought = bought.refused(400, "item_already_in_checkout", "already");
    assert_eq!(bought.code_if_any(), None);
    drop(server);
}

#[test]
fn a_sale_shows_its_terms_and_each_item_alone() {
    let mut place = Place::new(&SETTINGS);
    place.set("SALE_HOLD_SECONDS", "600");
    let server = Server::start_in(place);
    let mut client = server.client();
    for target in ["/sales/1", "/sales/active"] {
        let sale = client.get(target).ok().json();
        assert_eq!(
            (&sale["hold_seconds"], &sale["max_items_per_user"]),
            (&600.into(), &3.into())
        );
    }
    let listed = client.get("/sales/1/items?limit=2").ok().json();
    assert_eq!(client.get("/sales/1/items/ITM-1-1").ok().json(), listed[1]);
    assert_eq!(
        client.get("/sales/1/items/ITM%2D1%2D1").ok().json(),
        listed[1]
    );
    let missing = client.get("/sales/1/items/ITM-1-40");
    missing.refused(404, "item_not_found", "not found");
    let missing = client.get("/sales/9/items/ITM-1-1");
    missing.refused(404, "sale_not_found", "not found");
    client.get("/sales/1/items/%ff").invalid(&["item_id"]);
}

#[test]
fn a_sale_shows_its_terms_of_paying() {
    let mut place = Place::new(&SETTINGS);
    place.set("SALE_PAYMENT_SECONDS", "900");
    place.set("SALE_PURCHASE_BY", "shop");
    let mut server = Server::start_in(place);
    let terms = |server: &Server| {
        let sale = server.client().get("/sales/1").ok().json();
        (sale["payment_seconds"].clone(), sale["purchase_by"].clone())
    };
    assert_eq!(terms(&server), (900.into(), "shop".into()));
    server.kill_9();
    server.restart();
    assert_eq!(terms(&server), (900.into(), "shop".into()));
}

#[test]
fn units_that_are_held_say_until_when() {
    let mut place = Place::new(&SETTINGS);
    place.set("SALE_HOLD_SECONDS", "600");
    let mut server = Server::start_in(place);
    let mut client = server.client();
    let first = client.checkout_with_key("ada", "ITM-1-0", "k").ok();
    let held_until = |answer: &Answer| answer.json()["held_until"].as_str().map(str::to_owned);
    let until: jiff::Timestamp = held_until(&first).expect("a time").parse().expect("a time");
    let left = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((0..=600).contains(&left), "{left}");
    let first = told(first);
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(told(client.checkout_with_key("ada", "ITM-1-0", "k")), first);
    // Where nothing is held, there is no such time.
    let (_server, mut client) = shop();
    assert_eq!(held_until(&client.checkout("ada", "ITM-1-0").ok()), None);
}
