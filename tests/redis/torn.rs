//! A log of Redis that a power cut has torn in the middle of a call, and sums that do not add up. Redis
//! keeps the beginning of a torn call, and runs it at the next start before the call that repeats it.

use flashsale::reconcile::redis::read;
use flashsale::types::Lsn;

use crate::redis::fixture::{Place, options, run, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_log::{self, LOGGED};
use crate::redis_server::RedisServer;
use crate::server::wait_for;

const WATERMARK: &str = "{flashsale}:watermark";

/// Starts Redis with `log`, lets it be followed up to `last`, starts it once more in good order, and
/// returns how what it holds then differs.
fn differences_behind(
    log: &[u8],
    server: &mut RedisServer,
    place: &Place,
    last: Lsn,
) -> Vec<String> {
    redis_log::restart_with(server, log);
    let options = options(server);
    let following = place.follow(&options);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    drop(following);
    server.stop();
    server.restart();
    let (watermark, expected) = place.fold(last);
    let found = run(read(&options)).expect("readable").expect("whole");
    assert_eq!(found.last(), watermark);
    expected.differences(&found.projection, 10)
}

#[test]
fn a_call_that_is_torn_in_the_log_of_redis_is_not_counted_twice() {
    let (mut server, place) = (RedisServer::start_with(&LOGGED), Place::new());
    let options = options(&server);
    let mut story = Story::new(27);
    let last = story.tell(&place.journal, 1500);
    place.follow(&options).wait_for(last);
    let length_before = redis_log::read(&server).len();
    // One batch, in which sales of both kinds begin and one ends.
    for _ in 0..3 {
        story.open_sale(&place.journal);
    }
    story.tell(&place.journal, 60);
    story.close_sale(&place.journal);
    let mut last = story.tell(&place.journal, 20);
    place.follow(&options).wait_for(last);
    let events = || server.command(&["XLEN", "{flashsale}:events"]).number();
    let events_expected = events();
    let log = redis_log::read(&server);
    let mut start = redis_log::last_call(&log);
    assert!(start >= length_before, "the last call is the batch");
    let ends = redis_log::ends_of_commands(&log, start);
    let commands = ends.len();
    assert!(commands > 20, "a call of {commands} commands");

    for (number, &end) in ends.iter().enumerate() {
        // Behind a whole command Redis itself takes the beginning of the call back.
        let cuts = [start + (end - start) / 2, end];
        for &cut in &cuts[..if number % 8 == 0 { 2 } else { 1 }] {
            let differences = differences_behind(&log[..cut], &mut server, &place, last);
            assert!(
                differences.is_empty(),
                "cut in command {number} of {commands}: {differences:#?}"
            );
        }
        start = end;
        if number == commands / 2 {
            let events = server.command(&["XLEN", "{flashsale}:events"]).number();
            assert_eq!(events, events_expected);
            // From here on the call that repeats the torn one holds more.
            last = story.tell(&place.journal, 40);
        }
    }
}

#[test]
fn sums_that_are_wrong_are_found_at_the_next_connect_and_filled_again() {
    let (mut server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let mut story = Story::new(28);
    let last = story.tell(&place.journal, 3000);
    place.follow(&options).wait_for(last);
    let (_, expected) = place.fold(last);
    let sale = |listed: bool| {
        let mut sales = expected.sales.iter();
        let found = sales.find(|(_, sale)| {
            (sale.items.kind() == flashsale::reconcile::redis::SaleKind::Listed) == listed
                && sale.bought.len() > 1
        });
        found.expect("one of each kind")
    };
    let ((listed, buyers), (generated, _)) = (sale(true), sale(false));
    let key = |sale, part| format!("{{flashsale}}:sale:{sale}{part}");
    let user = buyers.bought.keys().next().expect("a buyer");
    let (bits, listed_key) = (key(generated, ":sold_items"), key(listed, ""));
    let sum = format!("sold:{listed}");
    let tamperings: &[&[&str]] = &[
        // As a version left it that added where this one sets.
        &["HINCRBY", &listed_key, "sold", "6"],
        &["HINCRBY", &listed_key, "remaining", "-1"],
        &["HINCRBY", &key(listed, ":bought"), user, "1"],
        &["HDEL", &key(listed, ":bought"), user],
        &["DEL", &key(listed, ":remaining")],
        &["DEL", &bits],
        &["HINCRBY", WATERMARK, &sum, "1"],
        // As a version left it that did not count.
        &["HDEL", WATERMARK, &sum],
        &["ZREM", "{flashsale}:sales", &listed.to_string()],
        &["DEL", &listed_key],
    ];
    for tampering in tamperings {
        let changed = server.command(tampering);
        assert!(!changed.is_error(), "{tampering:?}: {changed:?}");
        let following = place.follow(&options);
        following.wait_for(last);
        let rebuilds = following.figures().rebuilds;
        assert_eq!(rebuilds, 1, "{tampering:?} was not noticed");
        wait_until_equal(&place.fold(last), &options);
    }

    // A connection that breaks is enough of a reason to look, and what adds up stays.
    let following = place.follow(&options);
    following.wait_for(last);
    server.command(&["HINCRBY", &listed_key, "sold", "6"]);
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    wait_for("the wrong sum to be noticed", || {
        (following.figures().rebuilds == 1).then_some(())
    });
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    server.command(&["SAVE"]);
    server.kill_9();
    server.restart();
    let last = story.tell(&place.journal, 300);
    wait_until_equal(&place.fold(last), &options);
    assert_eq!(following.figures().rebuilds, 1);
}
