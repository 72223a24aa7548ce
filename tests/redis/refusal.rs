//! What only a person can put in order: it is said, and what is there stays.

use flashsale::reconcile::redis::reset;
use flashsale::record::{CatalogueKind, Lines, Record, SaleTerms};
use flashsale::types::{ItemIndex, PaymentTerms, PurchasedLine, SaleId, Timestamp};

use crate::redis::fixture::{Place, options, run, wait_until_equal};
use crate::redis::story::{BEGIN_SECONDS, Story};
use crate::redis_server::RedisServer;
use crate::server::wait_for;

const EVENTS: &str = "{flashsale}:events";
const WATERMARK: &str = "{flashsale}:watermark";
const WAY_OUT: &str = "flashsale rebuild redis --yes";

#[test]
fn an_event_that_somebody_else_added_is_refused() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(1);
    let before = story.tell(&place.journal, 300);
    following.wait_for(before);
    server.command(&["XADD", EVENTS, "*", "type", "theirs"]);
    let last = story.tell(&place.journal, 300);
    following.wait_for_reason(EVENTS);
    following.wait_for_reason(WAY_OUT);
    wait_until_equal(&place.fold(before), &options);
    run(reset(&options)).expect("there");
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn an_event_of_somebody_else_that_was_removed_is_refused_too() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let last = Story::new(2).tell(&place.journal, 300);
    following.wait_for(last);
    let theirs = server.command(&["XADD", EVENTS, "*", "type", "theirs"]);
    server.command(&["XDEL", EVENTS, &theirs.text()]);
    server.command(&["DEL", WATERMARK]);
    following.wait_for_reason(WAY_OUT);
    run(reset(&options)).expect("there");
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_command_that_is_not_allowed_costs_nothing_of_what_is_there() {
    let user = "user shop on >secret ~{flashsale}:* +@all";
    let (server, place) = (RedisServer::start_with(&[user]), Place::new());
    let everybody = options(&server);
    let mut options = everybody.clone();
    options.user = Some("shop".into());
    options.password = Some("secret".into());
    let following = place.follow(&options);
    let mut story = Story::new(3);
    let before = story.tell(&place.journal, 300);
    following.wait_for(before);
    server.command(&["ACL", "SETUSER", "shop", "-xadd"]);
    let last = story.tell(&place.journal, 300);
    following.wait_for_reason("may not use XADD");
    wait_until_equal(&place.fold(before), &everybody);
    assert_eq!(following.figures().rebuilds, 0);
    server.command(&["ACL", "SETUSER", "shop", "+xadd"]);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &everybody);
}

#[test]
fn a_rebuild_that_is_cut_off_twice_is_not_started_for_ever() {
    let settings = ["proto-max-bulk-len 1mb"];
    let (server, place) = (RedisServer::start_with(&settings), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(4);
    following.wait_for(story.tell(&place.journal, 300));
    let at = Timestamp::from_seconds(BEGIN_SECONDS);
    let sale = SaleId(story.last_sale() + 1);
    let terms = SaleTerms {
        started_at: at,
        ended_at: at.plus_seconds(10),
        max_items_per_user: 1,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: CatalogueKind::Generated {
            seed: 1,
            item_count: 100_000_000,
        },
    };
    place
        .journal
        .append(at, &Record::SaleCreated { sale, terms });
    // A bit that is farther away than that Redis allows.
    let line = PurchasedLine {
        item: ItemIndex(90_000_000),
        quantity: 1,
        sold: true,
    };
    let purchase = Record::Purchase {
        sale,
        secret: 1,
        user: "ada",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(&[line]),
    };
    let last = place.journal.append(at, &purchase);
    place.journal.wait(last).expect("the disk works");
    following.wait_for_reason("half way whenever it is filled");
    following.wait_for_reason(WAY_OUT);
    // It stays as it is, attempt for attempt.
    let content = || format!("{:?}", server.command(&["HGETALL", WATERMARK]));
    let (before, failures) = (content(), following.figures().failures);
    wait_for("more attempts", || {
        (following.figures().failures > failures + 1).then_some(())
    });
    assert_eq!(content(), before);
    server.command(&["CONFIG", "SET", "proto-max-bulk-len", "512mb"]);
    run(reset(&options)).expect("there");
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_key_of_another_type_is_called_that_also_by_the_check_of_sums() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(5);
    following.wait_for(story.tell(&place.journal, 300));
    let key = format!("{{flashsale}}:sale:{}", story.last_sale());
    server.command(&["DEL", &key]);
    server.command(&["LPUSH", &key, "somebody's"]);
    // Whether it is met with by a batch or by the check behind the next connect.
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let last = story.tell(&place.journal, 300);
    following.wait_for_reason("of the wrong type");
    run(reset(&options)).expect("there");
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}
