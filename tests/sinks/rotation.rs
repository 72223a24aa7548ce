//! Sales come and go, and texts are as strange as they may be: the sinks have it all.

use crate::client::Client;
use crate::places::{place_with_both, postgres, redis};
use crate::postgres_server::DATABASE;
use crate::server::{Server, wait_for};
use crate::sinks::judge::{agree_running, figure, settle, verify};

/// The number of the sale that is open.
fn open_sale(client: &mut Client) -> Option<u32> {
    let answer = client.get("/sales/active");
    (answer.status == 200).then(|| answer.member("id").parse().expect("a number"))
}

#[test]
fn sales_end_and_begin_while_everybody_is_killed() {
    let (mut postgres, mut redis) = (postgres(), redis(&["appendonly yes"]));
    let mut place = place_with_both(&postgres, &redis);
    place.set("SALE_INTERVAL_SECONDS", "2");
    place.set("SALE_TOTAL_ITEMS", "200");
    let mut server = Server::start_in(place);
    let (mut last, mut item) = (0, 0);
    for round in 0..4 {
        let mut client = server.client();
        let sale = wait_for("the next sale", || {
            open_sale(&mut client).filter(|&sale| sale > last)
        });
        last = sale;
        for _ in 0..20 {
            item += 1;
            let user = format!("user-{}", item % 7);
            let answer = client.checkout(&user, &format!("ITM-{sale}-{}", item % 200));
            // The sale may end at any moment.
            if answer.status == 200 && item % 3 > 0 {
                client.purchase(&answer.code());
            }
        }
        match round {
            0 => postgres.kill_9(),
            1 => redis.kill_9(),
            2 => server.kill_9(),
            _ => continue,
        }
        match round {
            0 => postgres.restart(),
            1 => redis.restart(),
            _ => server.restart(),
        }
    }
    wait_for("the end of the last sale", || {
        open_sale(&mut server.client()).filter(|&sale| sale > last)
    });
    let query = |sql| postgres.query(DATABASE, sql);
    // The clock of the last start has to prove steady first.
    wait_for("the closing of four sales", || {
        let ended = query("SELECT count(*) FROM sales WHERE closed_at IS NOT NULL");
        (ended.parse::<u32>().expect("a number") >= 4).then_some(())
    });
    agree_running(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    let place = server.stop();
    let (code, report) = verify(&place, &[]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(query("SELECT * FROM violations"), "");
}

#[test]
fn strange_texts_arrive_as_they_are() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let mut place = place_with_both(&postgres, &redis);
    place.set("JOURNAL_REFUSED_ATTEMPTS", "true");
    let server = Server::start_in(place);
    let mut client = server.client();
    let longest = "😀".repeat(32);
    let texts = [
        "\\N",
        "\\.",
        "'; DROP TABLE sales; --",
        "\"a\",b\\",
        "{flashsale}:watermark",
        " ",
        "NULL",
        "\u{202e}\u{feff}e\u{301}",
        &longest,
        "%00%s$1",
    ];
    for (item, text) in texts.into_iter().enumerate() {
        let code = client.choose(text, &[&format!("ITM-1-{item}")]);
        let key = "\\N'\"$1,{}%00";
        client.purchase_with_key(&code, key).ok();
        client
            .checkout(text, text)
            .refused(404, "item_not_found", "");
    }
    drop(client);
    settle(&server);
    for text in texts {
        let text = text.replace('\'', "''");
        let refused = format!(
            "SELECT count(*) FROM refused_attempts WHERE user_id = '{text}' AND item_id = '{text}'"
        );
        assert_eq!(postgres.query(DATABASE, &refused), "1", "{text}");
    }
    agree_running(&server);
    let place = server.stop();
    let (code, report) = verify(&place, &[]);
    assert_eq!(code, Some(0), "{report}");
}
