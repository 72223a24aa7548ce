//! Redis: what it shows is what the journal leads to, or it is told.

use flashsale::types::SaleId;

use crate::redis_server::RedisServer;
use crate::server::Place;
use crate::verify::fixture::{agrees, choose, close, fill, follow_into_redis, open, verify};

const SALE: &str = "{flashsale}:sale:1";

fn followed() -> (RedisServer, Place) {
    let redis = RedisServer::start();
    let port = redis.port().to_string();
    let place = Place::new(&[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &port)]);
    fill(&place.journal_dir());
    follow_into_redis(&place.journal_dir(), &redis);
    (redis, place)
}

#[test]
fn changes_by_hand_in_redis_are_found() {
    let (redis, place) = followed();
    let said = agrees(&place, &[]);
    assert!(
        said.contains("Redis: 6 sales as the journal has them"),
        "{said}"
    );

    let sold_items = format!("{SALE}:sold_items");
    let bought = format!("{SALE}:bought");
    let watermark = "{flashsale}:watermark";
    let last = redis.command(&["HGET", watermark, "lsn"]).text();
    let fingerprint = redis.command(&["HGET", watermark, "fingerprint"]).text();
    let behind = "1000000";
    for (damage, repair) in [
        (
            vec!["SETBIT", &sold_items, "59", "1"],
            vec!["SETBIT", &sold_items, "59", "0"],
        ),
        (
            vec!["HINCRBY", &bought, "user-0", "1"],
            vec!["HINCRBY", &bought, "user-0", "-1"],
        ),
        (
            vec!["HSET", watermark, "fingerprint", "1"],
            vec!["HSET", watermark, "fingerprint", &fingerprint],
        ),
        (
            vec!["HSET", watermark, "lsn", behind],
            vec!["HSET", watermark, "lsn", &last],
        ),
    ] {
        assert!(!redis.command(&damage).is_error(), "{damage:?}");
        let (code, said) = verify(&place, &[]);
        assert_eq!(code, 1, "{damage:?}: {said}");
        assert!(said.contains("DIFFERENT: Redis: "), "{damage:?}: {said}");
        assert!(!redis.command(&repair).is_error(), "{repair:?}");
        agrees(&place, &[]);
    }
    redis.command(&["DEL", SALE]);
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 1, "{said}");
}

#[test]
fn a_redis_that_is_behind_empty_or_away_is_told() {
    let (mut redis, place) = followed();
    let (engine, clock) = open(&place.journal_dir());
    clock.advance_us(40_000_000);
    choose(&engine, SaleId(3), "later", "ITM-3-2").expect("it is free");
    close(&engine);
    let said = agrees(&place, &[]);
    assert!(
        said.contains("Redis: 1 record behind the journal"),
        "{said}"
    );

    redis.command(&["FLUSHALL"]);
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("NOT CHECKED: Redis: it holds nothing that is whole"),
        "{said}"
    );

    redis.kill_9();
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("NOT CHECKED: Redis at 127.0.0.1:") && said.contains(": connection refused"),
        "{said}"
    );
}
