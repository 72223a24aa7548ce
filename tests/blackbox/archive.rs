//! Sales that have ended and left memory: every answer is as it was before.

use std::fs;
use std::path::PathBuf;

use crate::client::{Answer, Client};
use crate::server::{Place, Server, wait_for};

const SETTINGS: [(&str, &str); 3] = [
    ("SALE_TOTAL_ITEMS", "10"),
    ("SALE_INTERVAL_SECONDS", "2"),
    ("SALE_KEEP_ENDED_SECONDS", "0"),
];

/// A sale with a purchase under a key, one in vain, and an open checkout.
struct Used {
    sale: String,
    bought: String,
    in_vain: String,
    open: String,
    /// The first answer to eve's checkout, which came with the key `c`.
    chosen: String,
}

/// Retried when a boundary came in between.
fn use_a_sale(client: &mut Client) -> Used {
    wait_for("a sale with time left", || {
        let (sale, _) = client.active_sale();
        let item = |index| format!("ITM-{sale}-{index}");
        let chosen = client.checkout_with_key("eve", &item(1), "c");
        let codes = [("ada", 0), ("bob", 0)]
            .map(|(user, index)| client.checkout(user, &item(index)).code_if_any());
        let codes = [codes[0].clone(), codes[1].clone(), chosen.code_if_any()];
        let [Some(bought), Some(in_vain), Some(open)] = codes else {
            return None;
        };
        let first = client.purchase_with_key(&bought, "k").status;
        let second = client.purchase_with_key(&in_vain, "k").status;
        ((first, second) == (200, 409)).then_some(Used {
            sale,
            bought,
            in_vain,
            open,
            chosen: chosen.text().to_owned(),
        })
    })
}

/// What does not change any more, once the sale is over: status and body of every answer.
fn answers(client: &mut Client, used: &Used) -> Vec<(u16, String)> {
    let sale = &used.sale;
    let mut answers = Vec::new();
    let mut note = |answer: Answer| answers.push((answer.status, answer.text().to_owned()));
    note(client.purchase_with_key(&used.bought, "k"));
    note(client.purchase_with_key(&used.bought, "another"));
    note(client.purchase(&used.bought));
    note(client.purchase_with_key(&used.in_vain, "k"));
    note(client.purchase(&used.in_vain));
    note(client.purchase(&used.open));
    note(client.purchase(&format!("CHK-{sale}-{:032x}", 7)));
    note(client.get(&format!("/sales/{sale}")));
    note(client.get(&format!("/sales/{sale}/items")));
    note(client.get(&format!(
        "/sales/{sale}/items?available=true&limit=2&cursor=1"
    )));
    note(client.get(&format!("/sales/{sale}/items?limit=0")));
    note(client.checkout("zoe", &format!("ITM-{sale}-2")));
    note(client.checkout("zoe", &format!("ITM-{sale}-10")));
    note(client.post(&format!(
        "/checkout?user_id=zoe&id=ITM-{sale}-2&sale_id={sale}"
    )));
    note(client.checkout_with_key("eve", &format!("ITM-{sale}-1"), "c"));
    note(client.checkout_with_key("eve", &format!("ITM-{sale}-2"), "c"));
    note(client.checkout_with_key("eve", &format!("ITM-{sale}-2"), "d"));
    answers
}

fn archived(client: &mut Client) -> u64 {
    let health = client.get("/health").ok().json();
    health["sales"]["archived"].as_u64().expect("a number")
}

fn wait_until_over(client: &mut Client, sale: &str) {
    wait_for("the end of the sale", || {
        let shown = client.get(&format!("/sales/{sale}")).ok().json();
        (shown["active"] == false).then_some(())
    });
}

fn wait_until_archived(client: &mut Client, sale: &str) {
    let sale: u64 = sale.parse().expect("a number");
    wait_for("the sale to leave memory", || {
        (archived(client) >= sale).then_some(())
    });
}

fn sale_files(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.journal_dir()).expect("the journal");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "sale"))
        .collect()
}

#[test]
fn a_sale_that_has_left_memory_is_answered_as_before() {
    // Kept for a while, so that its answers from memory are known.
    let mut place = Place::new(&SETTINGS);
    place.set("SALE_KEEP_ENDED_SECONDS", "600");
    let server = Server::start_in(place);
    let mut client = server.client();
    let used = use_a_sale(&mut client);
    wait_until_over(&mut client, &used.sale);
    let expected = answers(&mut client, &used);
    assert_eq!(archived(&mut client), 0);
    let statuses: Vec<u16> = expected.iter().map(|(status, _)| *status).collect();
    assert_eq!(
        statuses,
        [
            200, 409, 409, 409, 409, 400, 404, 200, 200, 200, 400, 400, 404, 400, 200, 409, 400
        ]
    );
    assert!(expected.iter().any(|(_, body)| *body == used.chosen));
    let mut place = server.crash();
    place.set("SALE_KEEP_ENDED_SECONDS", "0");

    let mut server = Server::start_in(place);
    let mut client = server.client();
    wait_until_archived(&mut client, &used.sale);
    assert_eq!(answers(&mut client, &used), expected, "from its file");
    assert_eq!(answers(&mut client, &used), expected, "and again");
    let health = client.get("/health").ok().json();
    assert_eq!(health["sales"]["loaded"], 1);
    assert!(health["stock"].get(&used.sale).is_none());
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(
        answers(&mut client, &used),
        expected,
        "at once after a crash"
    );
    wait_until_archived(&mut client, &used.sale);
    assert_eq!(answers(&mut client, &used), expected, "after a crash");
}

#[test]
fn archived_sales_are_listed_and_verified() {
    let server = Server::start(&SETTINGS);
    let mut client = server.client();
    let used = use_a_sale(&mut client);
    wait_for("two more sales to leave memory", || {
        (archived(&mut client) >= used.sale.parse::<u64>().expect("a number") + 2).then_some(())
    });
    let all = client.get("/sales?limit=1000").ok().json();
    let ids = |list: &serde_json::Value| -> Vec<u32> {
        let list = list.as_array().expect("a list").iter();
        list.map(|sale| {
            sale["id"]
                .as_str()
                .expect("an id")
                .parse()
                .expect("a number")
        })
        .collect()
    };
    let all = ids(&all);
    assert_eq!(all, (1..=all[0]).rev().collect::<Vec<_>>());
    // A page at a time, over the border of memory.
    let (mut paged, mut target) = (Vec::new(), Some("/sales?limit=1".to_owned()));
    while let Some(next) = target {
        let answer = client.get(&next).ok();
        paged.extend(ids(&answer.json()));
        target = answer.next(&next);
    }
    paged.retain(|id| *id <= all[0]);
    assert_eq!(paged, all);
    let address = server.addr().to_string();
    let said = server.place().report(&["verify", "--server", &address]);
    assert!(
        said.contains("nothing moved meanwhile") || said.contains("kept moving"),
        "{said}"
    );
    drop(client);
    let place = server.stop();
    let files = sale_files(&place);
    assert!(files.len() >= 3);
    let inspected = place.report(&["journal", "inspect"]);
    assert!(
        inspected.contains("file of sale 1, closed by record"),
        "{inspected}"
    );
    let said = place.report(&["journal", "verify"]);
    assert!(said.contains("files of ended sales: intact"), "{said}");

    // A file that was damaged is named; and as long as the journal is whole, written again.
    let damaged = files.iter().max().expect("there are some");
    let mut bytes = fs::read(damaged).expect("readable");
    bytes[4100] ^= 1;
    fs::write(damaged, bytes).expect("writable");
    let (_, said) = place.failure(&["journal", "verify"]);
    let name = damaged
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8");
    assert!(said.contains(name), "{said}");
    let said = place.report(&["journal", "repair"]);
    assert!(said.contains(&format!("{name}.damaged")), "{said}");
    place.report(&["journal", "verify"]);
    place.report(&["verify"]);
}
