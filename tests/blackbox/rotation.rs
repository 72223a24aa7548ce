//! Sales that end, and those that follow them.

use serde_json::json;

use crate::admin::{create, in_seconds};
use crate::client::Client;
use crate::server::{Server, wait_for};

fn short_sales() -> (Server, Client) {
    let settings = [("SALE_TOTAL_ITEMS", "10"), ("SALE_INTERVAL_SECONDS", "2")];
    let server = Server::start(&settings);
    let client = server.client();
    (server, client)
}

/// The answers to a checkout and, with a second user, to a checkout and its purchase, all in one
/// sale: retried when a boundary came in between.
fn choose_and_buy(client: &mut Client) -> (String, String, String) {
    wait_for("a sale with time left", || {
        let (sale, _) = client.active_sale();
        let item = |index| format!("ITM-{sale}-{index}");
        let open = client.checkout("ada", &item(0));
        let other = client.checkout("bob", &item(1));
        if open.status != 200 || other.status != 200 {
            return None;
        }
        let bought = client.purchase_with_key(&other.code(), "k");
        (bought.status == 200).then(|| (sale, open.code(), other.code()))
    })
}

#[test]
fn a_sale_ends_and_another_begins() {
    let (mut server, mut client) = short_sales();
    let (sale, open, bought) = choose_and_buy(&mut client);
    let next = wait_for("the next sale", || {
        let (next, sold) = client.active_sale();
        (next != sale).then_some((next, sold))
    });
    let (old, new) = (sale.parse::<u32>(), next.0.parse::<u32>());
    assert!(new.expect("a number") > old.expect("a number"));
    let target = format!("/sales/{sale}");
    wait_for("the end of the old sale", || {
        (client.get(&target).json()["active"] == false).then_some(())
    });
    let check = |client: &mut Client| {
        let answer = client.checkout("ada", &format!("ITM-{sale}-2"));
        answer.refused(400, "sale_not_active", "not active");
        // The sale comes before what is said of the user and the item.
        let answer = client.checkout("ada", &format!("ITM-{sale}-0"));
        answer.refused(400, "sale_not_active", "not active");
        let answer = client.purchase(&open);
        answer.refused(400, "sale_not_active", "not active");
        // A client that lost its answer can still ask for it.
        let answer = client.purchase_with_key(&bought, "k").ok();
        assert_eq!(answer.json()["total_purchased"], 1);
        let ended = client.get(&target).ok().json();
        assert_eq!(
            (&ended["active"], &ended["items_sold"]),
            (&false.into(), &1.into())
        );
    };
    check(&mut client);
    server.kill_9();
    server.restart();
    check(&mut server.client());
    let (_, _, bought) = choose_and_buy(&mut server.client());
    assert!(!bought.starts_with(&format!("CHK-{sale}-")));
}

#[test]
fn sales_follow_each_other_without_a_gap() {
    let (_server, mut client) = short_sales();
    let (first, _) = client.active_sale();
    // Every look finds an open sale, from the first to the third.
    wait_for("two boundaries", || {
        let (sale, _) = client.active_sale();
        let passed: u32 = sale.parse().expect("a number");
        (passed >= first.parse::<u32>().expect("a number") + 2).then_some(())
    });
    let sales = client.get("/sales").ok().json();
    let mut sales = sales.as_array().expect("a list").iter();
    let mut later = sales.next().expect("a sale");
    for earlier in sales {
        assert_eq!(earlier["ended_at"], later["started_at"]);
        later = earlier;
    }
    let seconds = |name: &str| later[name].as_str().expect("a time")[17..19].parse::<u32>();
    assert_eq!(
        seconds("started_at").expect("seconds") % 2,
        0,
        "on the boundary"
    );
    for sale in client
        .get("/sales?status=ended")
        .json()
        .as_array()
        .expect("a list")
    {
        assert_eq!(sale["active"], false);
    }
    let ended = client.get("/sales?status=ended&limit=1").ok();
    assert_eq!(ended.json().as_array().map(Vec::len), Some(1));
    assert!(ended.header("link").is_some(), "there is another one");
}

#[test]
fn a_sale_that_was_added_does_not_stand_in_for_the_next_one() {
    let (_server, mut client) = short_sales();
    let sale = json!({"total_items": 3, "ended_at": in_seconds(86_400)});
    let added = create(&mut client, &sale);
    let added: u32 = added.parse().expect("a number");
    // It is the rotation that goes on: sale after sale begins, on the boundaries.
    wait_for("two sales after it", || {
        let (active, _) = client.active_sale();
        (active.parse::<u32>().expect("a number") >= added + 2).then_some(())
    });
    assert_eq!(
        client.get(&format!("/sales/{added}")).json()["active"],
        true
    );
}
