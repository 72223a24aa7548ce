//! Whatever Redis loses comes back, and nothing twice.

use flashsale::reconcile::SinkError;
use flashsale::reconcile::redis::{read, reset};
use flashsale::record::Record;
use flashsale::types::{SaleId, Timestamp};

use crate::redis::fixture::{Place, options, run, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_server::RedisServer;

const WATERMARK: &str = "{flashsale}:watermark";

#[test]
fn a_flush_while_idle_or_busy_is_made_good() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(1);
    for _ in 0..4 {
        let last = story.tell(&place.journal, 500);
        following.wait_for(last);
        server.command(&["FLUSHALL"]);
        wait_until_equal(&place.fold(last), &options);
        story.tell(&place.journal, 1000);
        server.command(&["FLUSHALL"]);
        let last = story.tell(&place.journal, 1000);
        wait_until_equal(&place.fold(last), &options);
    }
    assert!(following.figures().rebuilds >= 4);
}

#[test]
fn a_flush_is_made_good_from_the_snapshot_where_the_journal_was_trimmed() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let mut story = Story::new(2);
    story.tell(&place.journal, 14_000);
    let covered = place.snapshot();
    let last = story.tell(&place.journal, 500);
    let expected = place.fold(last);
    place.trim(covered);
    let following = place.follow(&options);
    wait_until_equal(&expected, &options);
    following.wait_for(last);
    server.command(&["FLUSHALL"]);
    wait_until_equal(&expected, &options);
}

#[test]
fn a_trimmed_journal_without_a_snapshot_is_refused() {
    let (server, place) = (RedisServer::start(), Place::new());
    let covered = Story::new(2).tell(&place.journal, 14_000);
    place.trim(covered);
    let following = place.follow(&options(&server));
    following.wait_for_reason("there is no snapshot");
    assert!(matches!(following.first_word(), Err(SinkError::Refused(_))));
}

#[test]
fn without_its_watermark_nothing_is_counted_twice() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let last = Story::new(3).tell(&place.journal, 2000);
    following.wait_for(last);
    let events = || server.command(&["XLEN", "{flashsale}:events"]).number();
    let before = events();
    server.command(&["DEL", WATERMARK]);
    wait_until_equal(&place.fold(last), &options);
    assert_eq!(events(), before);
}

#[test]
fn a_call_that_ended_half_way_is_not_trusted() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let mut story = Story::new(4);
    let last = story.tell(&place.journal, 2000);
    place.follow(&options).wait_for(last);
    // As a call leaves it that dies in the middle.
    server.command(&["HSET", WATERMARK, "writing", "99"]);
    server.command(&["HINCRBY", "{flashsale}:sale:1", "sold", "5"]);
    assert!(run(read(&options)).expect("readable").is_none());
    let following = place.follow(&options);
    wait_until_equal(&place.fold(last), &options);
    // And so while it is followed.
    following.wait_for(last);
    server.command(&["HSET", WATERMARK, "writing", "99"]);
    server.command(&["HINCRBY", "{flashsale}:sale:1", "sold", "5"]);
    let last = story.tell(&place.journal, 200);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_sale_that_somebody_removed_comes_back() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(6);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    let open = server.command(&["ZRANGE", "{flashsale}:sales", "-1", "-1"]);
    let key = format!("{{flashsale}}:sale:{}", open.list()[0].text());
    assert_eq!(server.command(&["DEL", &key]).number(), 1);
    let last = story.tell(&place.journal, 2000);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_key_of_a_wrong_type_is_refused_and_nothing_is_half_applied() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(7);
    let before = story.tell(&place.journal, 300);
    following.wait_for(before);
    let next = format!("{{flashsale}}:sale:{}:bought", story.last_sale() + 1);
    server.command(&["SET", &next, "somebody's"]);
    let last = story.open_sale(&place.journal);
    place.journal.wait(last).expect("the disk works");
    following.wait_for_reason("is no hash");
    wait_until_equal(&place.fold(before), &options);
    server.command(&["DEL", &next]);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn stale_data_after_a_crash_is_brought_up_to_date() {
    let (mut server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(8);
    let saved = story.tell(&place.journal, 1000);
    following.wait_for(saved);
    server.command(&["SAVE"]);
    following.wait_for(story.tell(&place.journal, 1000));
    server.kill_9();
    let last = story.tell(&place.journal, 1000);
    following.wait_for_reason("connection refused");
    server.restart();
    wait_until_equal(&place.fold(last), &options);
    assert_eq!(
        following.figures().rebuilds,
        0,
        "what was saved is still good"
    );
}

#[test]
fn a_pause_costs_nothing() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(9);
    following.wait_for(story.tell(&place.journal, 500));
    server.pause();
    let last = story.tell(&place.journal, 2000);
    following.wait_for_reason("no answer");
    server.resume();
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn another_journals_projection_is_refused_until_it_is_reset() {
    let (server, theirs, ours) = (RedisServer::start(), Place::new(), Place::new());
    let options = options(&server);
    let last = Story::new(10).tell(&theirs.journal, 500);
    theirs.follow(&options).wait_for(last);
    let last = Story::new(11).tell(&ours.journal, 900);
    let following = ours.follow(&options);
    following.wait_for_reason("another journal");
    // Only its events are left: they cannot be told on, either.
    server.command(&["DEL", WATERMARK]);
    following.wait_for_reason("its events are those of another journal");
    run(reset(&options)).expect("there");
    following.wait_for(last);
    wait_until_equal(&ours.fold(last), &options);
}

#[test]
fn what_somebody_began_to_fill_is_filled_again() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(13);
    following.wait_for(story.tell(&place.journal, 500));
    server.command(&["HSET", WATERMARK, "rebuilding", "somebody's token"]);
    assert!(run(read(&options)).expect("readable").is_none());
    let last = story.tell(&place.journal, 500);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_projection_that_cannot_be_whole_is_refused_and_not_filled_for_ever() {
    let (server, place) = (RedisServer::start(), Place::new());
    let close = Record::SaleClosed { sale: SaleId(1) };
    let last = place.journal.append(Timestamp(0), &close);
    place.journal.wait(last).expect("the disk works");
    let following = place.follow(&options(&server));
    following.wait_for_reason("is missing whenever it is filled");
}
