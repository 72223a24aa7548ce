//! Checkouts that hold what they contain for a while.

use crate::client::Client;
use crate::server::{Server, wait_for};

fn shop(hold_seconds: &str) -> (Server, Client) {
    let settings = [
        ("SALE_TOTAL_ITEMS", "10"),
        ("SALE_HOLD_SECONDS", hold_seconds),
    ];
    let server = Server::start(&settings);
    let client = server.client();
    (server, client)
}

/// Polls until somebody else can choose the item; the code.
fn choose_when_free(client: &mut Client, user: &str, item: &str) -> String {
    wait_for("the end of a hold", || {
        let answer = client.checkout(user, item);
        if answer.status == 200 {
            return Some(answer.code());
        }
        answer.refused(409, "item_held", "held");
        None
    })
}

#[test]
fn held_units_are_for_nobody_else() {
    let (mut server, mut client) = shop("3600");
    let ada = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    let answer = client.checkout("bob", "ITM-1-0");
    let answer = answer.refused(409, "item_held", "held");
    let seconds: u64 = answer
        .header("retry-after")
        .expect("seconds")
        .parse()
        .expect("a number");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    let again = client.checkout("ada", "ITM-1-0");
    again.refused(400, "item_already_in_checkout", "already");
    let shown = client.get("/sales/1/items?limit=3").json();
    let remaining = |index: usize| shown[index]["remaining"].clone();
    assert_eq!(
        (remaining(0), remaining(2)),
        (0.into(), 1.into()),
        "{shown}"
    );
    assert_eq!(client.active_sale().1, 0, "held is not sold");
    let stock = client.get("/health").json()["stock"]["1"].clone();
    assert_eq!(
        (&stock["held"], &stock["free"]),
        (&2.into(), &8.into()),
        "{stock}"
    );

    // A crash frees nothing that is held.
    server.kill_9();
    server.restart();
    let mut client = server.client();
    client
        .checkout("bob", "ITM-1-0")
        .refused(409, "item_held", "held");
    assert_eq!(client.purchase(&ada).ok().json()["total_purchased"], 2);
    client
        .checkout("bob", "ITM-1-0")
        .refused(409, "item_sold_out", "sold");
}

#[test]
fn a_hold_runs_out() {
    let (mut server, mut client) = shop("1");
    let ada = client.choose("ada", &["ITM-1-0"]);
    let bob = choose_when_free(&mut client, "bob", "ITM-1-0");
    let answer = client.purchase(&ada);
    answer.refused(409, "checkout_expired", "expired");
    let answer = client.purchase_with_key(&ada, "k");
    answer.refused(409, "checkout_expired", "expired");

    // The stock is back, and the expired code stays expired, also after a crash.
    wait_for("the second hold to run out", || {
        (client.get("/health").json()["stock"]["1"]["held"] == 0).then_some(())
    });
    client
        .purchase(&bob)
        .refused(409, "checkout_expired", "expired");
    server.kill_9();
    server.restart();
    let mut client = server.client();
    client
        .purchase(&ada)
        .refused(409, "checkout_expired", "expired");
    // Whoever has time for a checkout and a purchase within a second gets it.
    wait_for("a purchase in time", || {
        let code = choose_when_free(&mut client, "cleo", "ITM-1-0");
        (client.purchase(&code).status == 200).then_some(())
    });
    assert_eq!(client.active_sale().1, 1);
    let place = server.stop();
    let report = place.report(&["journal", "verify"]);
    assert!(
        report.contains("10 units = 1 sold + 0 held + 9 free"),
        "{report}"
    );
}

#[test]
fn slots_of_an_expired_checkout_are_free_again() {
    let settings = [
        ("SALE_TOTAL_ITEMS", "10"),
        ("SALE_HOLD_SECONDS", "1"),
        ("SALE_MAX_ITEMS_PER_USER", "1"),
    ];
    let server = Server::start(&settings);
    let mut client = server.client();
    let first = client.choose("ada", &["ITM-1-0"]);
    let second = wait_for("a free slot", || {
        let answer = client.checkout("ada", "ITM-1-1");
        if answer.status == 200 {
            return Some(answer.code());
        }
        answer.refused(400, "user_limit_exceeded", "limit");
        None
    });
    assert_ne!(first, second);
    client
        .purchase(&first)
        .refused(409, "checkout_expired", "expired");
}
