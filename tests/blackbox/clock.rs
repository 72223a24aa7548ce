//! Ends that come while nobody looks at the clock: the process is stopped, or gone.

use jiff::Timestamp;
use rustix::process::Signal;

use crate::client::Client;
use crate::server::{Server, wait_for};

/// The sale that is open, and when it ends; `None` when that is sooner than in so many seconds.
fn sale_with_time_left(client: &mut Client, seconds: i64) -> Option<(u32, Timestamp)> {
    let answer = client.get("/sales/active");
    if answer.status != 200 {
        return None;
    }
    let sale = answer.member("id").parse().expect("a number");
    let end: Timestamp = answer.member("ended_at").parse().expect("a time");
    let left = end.duration_since(Timestamp::now());
    (left.as_secs() >= seconds).then_some((sale, end))
}

fn wait_until(end: Timestamp) {
    wait_for("the end of a sale", || {
        (Timestamp::now() >= end).then_some(())
    });
}

/// The lines of the journal that say this; nobody may have it open.
fn records(server: &Server, text: &str) -> Vec<(u64, String)> {
    let listing = server.place().report(&["journal", "inspect", "--records"]);
    let lines = listing.lines().filter(|line| line.contains(text));
    let numbered = |line: &str| {
        let lsn = line.split(' ').next()?.parse().ok()?;
        Some((lsn, line.to_owned()))
    };
    lines.filter_map(numbered).collect()
}

#[test]
fn a_process_that_is_stopped_over_an_end_sells_nothing_afterwards() {
    let settings = [("SALE_TOTAL_ITEMS", "10"), ("SALE_INTERVAL_SECONDS", "2")];
    let mut server = Server::start(&settings);
    let mut client = server.client();
    let (sale, end, open, bought) = wait_for("a sale with time left", || {
        let (sale, end) = sale_with_time_left(&mut client, 1)?;
        let open = client.checkout("ada", &format!("ITM-{sale}-0"));
        let other = client.checkout("bob", &format!("ITM-{sale}-1"));
        if open.status != 200 || other.status != 200 {
            return None;
        }
        let bought = client.purchase_with_key(&other.code(), "k");
        (bought.status == 200).then(|| (sale, end, open.code(), other.code()))
    });
    let mut late = server.client();
    late.get("/livez").ok();
    server.signal(Signal::STOP);
    // Sent while the sale was over and nobody there to say so.
    wait_until(end);
    let request =
        format!("POST /purchase?code={open} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    late.write(request.as_bytes()).expect("it is sent");
    wait_until(end + jiff::SignedDuration::from_secs(3));
    server.signal(Signal::CONT);

    let answer = late.read().expect("an answer");
    answer.refused(400, "sale_not_active", "not active");
    let answer = client.checkout("cleo", &format!("ITM-{sale}-2"));
    answer.refused(400, "sale_not_active", "not active");
    client.purchase_with_key(&bought, "k").ok();
    let shown = client.get(&format!("/sales/{sale}")).ok().json();
    assert_eq!(
        (&shown["active"], &shown["items_sold"]),
        (&false.into(), &1.into())
    );
    wait_for("a purchase in the next sale", || {
        let (next, _) = sale_with_time_left(&mut client, 0)?;
        assert!(next > sale, "sale {next} is open again");
        let answer = client.checkout("ada", &format!("ITM-{next}-0"));
        (answer.status == 200 && client.purchase(&answer.code()).status == 200).then_some(())
    });
    server.kill_9();
    let closed = records(&server, &format!("sale {sale} closed"));
    assert_eq!(closed.len(), 1, "{closed:?}");
    let deeds = records(&server, &format!(" sale {sale}: "));
    assert!(
        deeds.iter().all(|(lsn, _)| *lsn < closed[0].0),
        "{deeds:?} {closed:?}"
    );
}

#[test]
fn a_hold_that_ran_out_while_there_was_no_server_ends_before_its_sale() {
    let settings = [
        ("SALE_TOTAL_ITEMS", "10"),
        ("SALE_INTERVAL_SECONDS", "4"),
        ("SALE_HOLD_SECONDS", "1"),
    ];
    let mut server = Server::start(&settings);
    let mut client = server.client();
    // The hold runs out well before the sale does.
    let (sale, end, code) = wait_for("a sale with time left", || {
        let (sale, end) = sale_with_time_left(&mut client, 2)?;
        let answer = client.checkout("ada", &format!("ITM-{sale}-0"));
        let code = (answer.status == 200).then(|| answer.code())?;
        (end.duration_since(Timestamp::now()).as_secs() >= 1).then_some((sale, end, code))
    });
    server.kill_9();
    wait_until(end);
    // The second start finds nothing more to do.
    for _ in 0..2 {
        server.restart();
        let mut client = server.client();
        // Once the clock has proved steady.
        let answer = wait_for("the sale to be closed", || {
            let answer = client.purchase(&code);
            (answer.status == 409).then_some(answer)
        });
        answer.refused(409, "checkout_expired", "expired");
        let shown = client.get(&format!("/sales/{sale}")).ok().json();
        assert_eq!(
            (&shown["active"], &shown["items_sold"]),
            (&false.into(), &0.into())
        );
        server.kill_9();
        let expired = records(
            &server,
            &format!("sale {sale}: the hold of \"ada\" runs out"),
        );
        let closed = records(&server, &format!("sale {sale} closed"));
        assert_eq!(
            (expired.len(), closed.len()),
            (1, 1),
            "{expired:?} {closed:?}"
        );
        assert!(expired[0].0 < closed[0].0, "{expired:?} {closed:?}");
    }
    let verified = server.place().report(&["journal", "verify"]);
    let units = format!("sale {sale}: 10 units = 0 sold + 0 held + 10 free");
    assert!(verified.contains(&units), "{verified}");
}
