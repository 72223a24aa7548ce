//! The figures that operators read: are they those of what was done?

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flashsale::limits::LISTED_SALES_MAX;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Value, json};

use crate::admin::{create, in_seconds, shop};
use crate::client::Client;
use crate::server::{Server, wait_for};

/// A server that has accepted three checkouts, sold one purchase of them, and refused four checkouts.
fn busy() -> (Server, Client) {
    let server = Server::start(&[("SERVER_WORKERS", "2"), ("SALE_TOTAL_ITEMS", "10")]);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1", "ITM-1-2"]);
    client.purchase(&code).ok();
    for _ in 0..4 {
        let refused = client.checkout("bob", "ITM-1-0");
        refused.refused(409, "item_sold_out", "sold");
    }
    (server, client)
}

/// The second in the next event of the operations page, where it has one.
fn second_of(client: &mut Client) -> Option<Value> {
    let chunk = client.read_chunk().expect("a chunk");
    let text = String::from_utf8(chunk.expect("the stream goes on")).expect("UTF-8");
    let data = text.split("data: ").nth(1)?;
    Some(serde_json::from_str(data).expect("JSON"))
}

fn logged(log: &[u8]) -> Vec<(String, Histogram<u64>)> {
    let intervals = IntervalLogIterator::new(log).filter_map(|entry| match entry.expect("a log") {
        LogEntry::Interval(interval) => Some(interval),
        _ => None,
    });
    let read = intervals.map(|interval| {
        let bytes = BASE64_STANDARD.decode(interval.encoded_histogram());
        let histogram = Deserializer::new().deserialize(&mut bytes.expect("base64").as_slice());
        let tag = interval.tag().expect("a tag").as_str().to_owned();
        (tag, histogram.expect("a histogram"))
    });
    read.collect()
}

#[test]
fn every_answer_counts_under_its_outcome() {
    let (_server, mut client) = busy();
    for window in [
        "",
        "?window=10s",
        "?window=1m",
        "?window=sale",
        "?window=start",
    ] {
        let health = client.get(&format!("/health{window}")).ok().json();
        let counts =
            |route: &str, outcome: &str| health["latency"][route][outcome]["count"].clone();
        assert_eq!(counts("checkout", "accepted"), 3, "{window}");
        assert_eq!(counts("checkout", "item_sold_out"), 4, "{window}");
        assert_eq!(counts("purchase", "sold"), 1, "{window}");
        let stages = &health["stages"];
        assert_eq!(stages["parse"]["count"], 8, "{window}");
        assert_eq!(stages["decide"]["count"], 8, "{window}");
        assert_eq!(stages["commit_wait"]["count"], 4, "{window}");
        assert!(
            stages["fsync"]["count"]
                .as_u64()
                .is_some_and(|syncs| syncs >= 4)
        );
        assert_eq!(health["conserved"], true);
        assert_eq!(health["stock"]["1"]["conserved"], true);
    }
}

#[test]
fn the_summary_keeps_checkouts_and_purchases_apart_and_says_what_is_wrong() {
    let (server, mut client) = busy();
    let health = client.get("/health").ok().json();
    let summary = &health["summary"];
    for window in ["last_10s", "in_window"] {
        let count = |group: &str| summary[window][group]["count"].clone();
        assert_eq!(count("checkouts"), 3, "{summary}");
        assert_eq!(count("purchases"), 1, "{summary}");
        assert_eq!(count("refused"), 4, "{summary}");
        assert_eq!(summary[window]["failed"], 0, "{summary}");
        let of = |group: &str| summary[window][group]["p99"].as_f64();
        assert!(of("purchases") > Some(0.0), "{summary}");
    }
    assert_eq!(summary["sale"]["id"], "1");
    assert_eq!(summary["sale"]["sold"], 3);
    assert_eq!(
        (&summary["healthy"], &summary["problems"]),
        (&json!(true), &json!([]))
    );

    // For people, and the same.
    let pretty = client.get("/health?pretty&window=1m").ok();
    assert!(
        pretty.text().starts_with("{\n  \"services_status\": {\n"),
        "{}",
        pretty.text()
    );
    assert!(pretty.text().ends_with("}\n"), "{}", pretty.text());
    assert_eq!(pretty.json()["window"], "1m");
    client.get("/health?pretty=maybe").invalid(&["pretty"]);
    drop(client);
    let mut place = server.stop();
    place.set("REDIS_HOST", "127.0.0.1");
    place.set("REDIS_PORT", "1");
    let server = Server::start_in(place);
    let summary = wait_for("Redis to be missed", || {
        let summary = server.client().get("/health").ok().json()["summary"].clone();
        let problem = summary["problems"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        problem.contains("connection refused").then_some(summary)
    });
    assert_eq!(summary["healthy"], false);
    assert_eq!(
        summary["problems"][0],
        "Redis is not followed: connection refused"
    );
}

#[test]
fn repeated_answers_do_not_lower_the_latencies_of_confirmed_ones() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase_with_key(&code, "first").ok();
    for _ in 0..5 {
        client.purchase_with_key(&code, "first").ok();
        let other = client.purchase_with_key(&code, "other");
        other.refused(409, "already_processed", "already");
    }
    let health = client.get("/health").ok().json();
    assert_eq!(health["latency"]["purchase"]["replayed"]["count"], 5);
    // A checkout and a purchase have waited for the disk, and nobody else.
    assert_eq!(health["stages"]["commit_wait"]["count"], 2);
    let counted = |class: &str| {
        let target = format!("/health/histogram?outcome={class}");
        let told = server.client().get(&target).ok().json();
        let counts = told["histograms"].as_array().expect("a list").iter();
        counts.map(|one| one["count"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(counted("confirmed"), [Some(1), Some(1)]);
    assert_eq!(counted("repeated"), [Some(5)]);
    let metrics = client.get("/metrics").ok();
    assert!(
        !metrics.text().contains("reason=\"replayed\""),
        "it got what it asked for"
    );
}

#[test]
fn the_report_tells_of_cores_process_and_build() {
    let (_server, mut client) = busy();
    // The load is that of the looks before.
    let health = wait_for("a look at the workers", || {
        let health = client.get("/health").ok().json();
        let workers = health["workers"].as_array().map(Vec::len);
        (workers == Some(2)).then_some(health)
    });
    for figure in [
        "resident_bytes",
        "allocator_committed_bytes",
        "open_files",
        "threads",
    ] {
        assert!(
            health["process"][figure].as_u64() > Some(0),
            "{figure}: {health}"
        );
    }
    assert_eq!(health["build"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["configuration"].as_str().map(str::len), Some(12));
    assert!(health["journal"]["segments"].as_u64() >= Some(1));
    assert!(health["journal"]["fsync_us_p50"].as_f64() > Some(0.0));
}

#[test]
fn the_sale_that_sells_is_listed_however_many_are_planned() {
    let (_server, mut client) = shop();
    for day in 1..=20 {
        let begins = in_seconds(day * 86_400);
        create(
            &mut client,
            &json!({"total_items": 3, "started_at": begins}),
        );
    }
    let metrics = client.get("/metrics").ok();
    let listed: Vec<_> = metrics
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("sale_ends_timestamp_seconds{sale=\""))
        .filter_map(|rest| rest.split('"').next()?.parse::<u32>().ok())
        .collect();
    // The one that sells, and of those that were planned the next ones.
    assert_eq!(listed.first(), Some(&1), "{listed:?}");
    assert_eq!(listed.len(), LISTED_SALES_MAX);
    assert!(listed.is_sorted(), "{listed:?}");
}

#[test]
fn histograms_come_in_three_forms_of_one_content() {
    let (_server, mut client) = busy();
    let all = client.get("/health/histogram?route=checkout").ok().json();
    let of = |outcome: &str| {
        let histograms = all["histograms"].as_array().expect("a list");
        let found = histograms.iter().find(|one| one["outcome"] == outcome);
        found.expect("an outcome").clone()
    };
    assert_eq!(
        (&all["unit"], &all["window"]),
        (&json!("us"), &json!("sale"))
    );
    let accepted = of("accepted");
    let sum = |buckets: &Value| {
        let counts = buckets.as_array().expect("buckets").iter();
        counts
            .map(|bucket| bucket[1].as_u64().expect("a count"))
            .sum::<u64>()
    };
    assert_eq!(
        (
            sum(&accepted["buckets"]),
            sum(&of("item_sold_out")["buckets"])
        ),
        (3, 4)
    );

    let log = client
        .get("/health/histogram?route=checkout&format=hlog")
        .ok();
    let logged = logged(log.text().as_bytes());
    let counts: Vec<_> = logged
        .iter()
        .map(|(tag, one)| (tag.as_str(), one.len()))
        .collect();
    assert_eq!(
        counts,
        [("checkout.accepted", 3), ("checkout.item_sold_out", 4)]
    );
    let mut merged = logged[0].1.clone();
    merged.add(&logged[1].1).expect("the same bounds");
    assert_eq!(merged.len(), 7);
    let max_us = logged[0].1.max() as f64 / 1e3;
    assert_eq!(accepted["max"], max_us);

    // One curve is that of the confirmed, unless it is asked for otherwise.
    for (query, count) in [
        ("format=hgrm", 4),
        ("format=hgrm&route=checkout", 3),
        ("format=hgrm&outcome=refused", 4),
        ("format=hgrm&stage=decide", 8),
        ("format=hgrm&route=purchase&outcome=sold", 1),
    ] {
        let curve = client.get(&format!("/health/histogram?{query}")).ok();
        let total = format!("Total count    = {count:>12}]");
        assert!(curve.text().contains(&total), "{query}: {}", curve.text());
        assert!(curve.text().contains("1/(1-Percentile)"), "{query}");
    }
}

#[test]
fn the_longest_latency_is_the_same_wherever_it_is_shown() {
    let (_server, mut client) = busy();
    let health = client.get("/health").ok().json();
    let max = &health["latency"]["checkout"]["accepted"]["max"];
    assert_eq!(&health["summary"]["in_window"]["checkouts"]["max"], max);
    let query = "/health/histogram?route=checkout&outcome=accepted";
    let histogram = client.get(query).ok().json();
    assert_eq!(&histogram["histograms"][0]["max"], max);
    let curve = client.get(&format!("{query}&format=hgrm")).ok();
    let max_us = max.as_f64().expect("a number");
    let foot = format!("#[Max     = {max_us:>12.3},");
    assert!(curve.text().contains(&foot), "{foot}: {}", curve.text());
    // The operations page has it from the next second on.
    client.get("/ops/stream").ok();
    let shown = wait_for("a second", || second_of(&mut client));
    let curve = shown["spectrum"]["checkouts"].as_array().expect("a curve");
    assert_eq!(curve.last(), Some(&json!([1.0, max_us])));
    assert_eq!(&shown["percentiles"]["checkouts"]["max"], max);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let (_server, mut client) = busy();
    client
        .get("/health/histogram?format=xml&window=2m")
        .invalid(&["format", "window"]);
    client
        .get("/health/histogram?route=nowhere")
        .invalid(&["route"]);
    client
        .get("/health/histogram?stage=fsync&outcome=sold")
        .invalid(&["stage"]);
    client.get("/health?window=1h").invalid(&["window"]);
    client.get("/health/histogram?route=&outcome=").ok();
}

#[test]
fn viewers_of_operations_get_the_samples_before_and_one_every_second() {
    let (server, mut client) = busy();
    let head = client.get("/ops/stream").ok();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let second = wait_for("a second", || second_of(&mut client));
    assert_eq!(second["conserved"], true);
    assert_eq!(second["sale"]["sold"], 3);
    // Checkouts and purchases each for themselves.
    assert_eq!(second["percentiles"]["checkouts"]["count"], 3);
    assert_eq!(second["percentiles"]["purchases"]["count"], 1);
    assert_eq!(second["workers"].as_array().map(Vec::len), Some(2));

    let mut other = server.client();
    let history = other.get("/ops/history").ok();
    assert_eq!(history.header("content-type"), Some("application/json"));
    let mut body = Vec::new();
    while let Some(piece) = other.read_chunk().expect("a chunk") {
        body.extend(piece);
    }
    let seconds: Value = serde_json::from_slice(&body).expect("JSON");
    let known = seconds.as_array().expect("a list");
    assert!(known.contains(&second), "{seconds}");
    // The connection takes another request behind it.
    other.get("/livez").ok();
}
