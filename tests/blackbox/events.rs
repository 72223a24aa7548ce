//! The events of the journal, as shops read them.

use std::path::Path;
use std::process::Command;
use std::thread;

use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::sale::write_snapshot;
use flashsale::types::Lsn;
use jsonschema::Draft;
use serde_json::{Value, json};

use crate::admin::{TOKEN, create, household, shop};
use crate::client::{Answer, Client};
use crate::receiver::python;
use crate::server::{Server, wait_for};

const SHOP_TOKEN: &str = "the-token-of-the-shop";

/// The events of a page, each held against what the specification says of all events.
fn events(answer: &Answer) -> Vec<Value> {
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("application/cloudevents-batch+json"));
    let events: Vec<Value> = serde_json::from_slice(&answer.body).expect("an array");
    events.iter().for_each(check_specification);
    events
}

/// The JSON schema of CloudEvents 1.0, by the facts of the specification.
fn check_specification(event: &Value) {
    let text = json!({"type": "string", "minLength": 1});
    let schema = json!({
        "type": "object",
        "required": ["id", "source", "specversion", "type"],
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
        "properties": {
            "id": text,
            "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
            "specversion": {"const": "1.0"},
            "type": text,
            "datacontenttype": {"type": "string", "pattern": "^[a-z]+/[a-z.+-]+$"},
            "dataschema": {"type": "string", "minLength": 1, "format": "uri"},
            "subject": text,
            "time": {"type": "string", "format": "date-time"},
        },
        "not": {"required": ["data", "data_base64"]},
        // Attributes of its own have no other types.
        "additionalProperties": {"type": ["string", "boolean", "integer"]},
        "patternProperties": {"^data$": {}},
    });
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    let schema = options.should_validate_formats(true).build(&schema);
    let errors: Vec<_> = schema
        .expect("a schema")
        .iter_errors(event)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{event}: {errors:?}");
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["type"].as_str());
    kinds.map(|kind| kind.expect("a type")).collect()
}

fn id(event: &Value) -> u64 {
    let id = event["id"].as_str().expect("an id");
    id.parse().expect("a number")
}

/// All events behind `target`, in pages.
pub fn read_all(client: &mut Client, target: &str) -> Vec<Value> {
    let (mut all, mut target) = (Vec::new(), target.to_owned());
    loop {
        let page = client.get(&target).ok();
        let (found, next) = (events(&page), page.next(&target).expect("always"));
        if found.is_empty() && next == target {
            return all;
        }
        all.extend(found);
        target = next;
    }
}

/// Has a user buy an item; the code.
fn buy(client: &mut Client, user: &str, item: &str) -> String {
    let code = client.choose(user, &[item]);
    client.purchase(&code).ok();
    code
}

#[test]
fn every_event_comes_once_in_order_and_again_after_a_restart() {
    let (mut server, mut client) = shop();
    let sale = create(&mut client, &household());
    let lamp = buy(&mut client, "ada", "lamp");
    let open = client.choose("bob", &["cup"]);
    let cup = buy(&mut client, "eve \"E\"", "cup");
    client.post(&format!("/admin/sales/{sale}/close")).ok();
    let all = read_all(&mut client, "/admin/events?after=0&limit=2");
    let expected = [
        "sale.created",
        "sale.created",
        "purchase.completed",
        "purchase.completed",
        "sale.closed",
    ];
    assert_eq!(kinds(&all), expected);
    assert!(all.is_sorted_by_key(id));
    let codes: Vec<_> = all[2..4].iter().map(|it| &it["data"]["code"]).collect();
    assert_eq!(codes, [&*lamp, &*cup]);
    assert_eq!(
        all[3]["data"],
        json!({
            "sale_id": sale, "code": cup, "user_id": "eve \"E\"",
            "items": [{"id": "cup", "quantity": 1, "sold": true}],
            "total_purchased": 1, "failed_count": 0,
        })
    );
    let text = Value::from(all.clone()).to_string();
    assert!(!text.contains(&open), "the code of an open checkout");
    for limit in [1, 3, 1000] {
        let target = format!("/api/v1/admin/events?limit={limit}&after=0");
        assert_eq!(read_all(&mut client, &target), all);
    }
    let behind = format!("/admin/events?after={}", id(&all[2]));
    assert_eq!(read_all(&mut client, &behind), all[3..]);
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(read_all(&mut client, "/admin/events"), all);
}

#[test]
fn sales_that_have_left_memory_keep_their_events() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("SALE_KEEP_ENDED_SECONDS", "0")]);
    let mut client = server.client();
    let sale = create(&mut client, &household());
    buy(&mut client, "ada", "lamp");
    client.post(&format!("/admin/sales/{sale}/close")).ok();
    let figure =
        |client: &mut Client, name: &str| client.get("/health").ok().json()["sales"][name].as_u64();
    wait_for("the sale to leave memory", || {
        (figure(&mut client, "archived") == Some(1)).then_some(())
    });
    let target = format!("/admin/events?sale_id={sale}&type=purchase.completed");
    let told = read_all(&mut client, &target);
    assert_eq!(told[0]["data"]["items"][0]["id"], "lamp");
    assert_eq!(told.len(), 1);
}

#[test]
fn a_request_waits_until_there_is_an_event() {
    let (server, mut client) = shop();
    let newest = read_all(&mut client, "/admin/events");
    let after = id(newest.last().expect("a sale"));
    let target = format!("/admin/events?after={after}&wait=30");
    let mut waiting = server.client();
    let waiter = thread::spawn(move || waiting.get(&target).ok());
    let figure =
        |client: &mut Client| client.get("/health").ok().json()["events"]["waiting"].clone();
    wait_for("a request that waits", || {
        (figure(&mut client) == 1).then_some(())
    });
    let code = buy(&mut client, "ada", "ITM-1-3");
    let answer = waiter.join().expect("no panic");
    let told = events(&answer);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["code"], *code);
    // Nothing comes: the page is empty, and goes on where it was.
    let target = format!("/admin/events?after={}&wait=1", id(&told[0]));
    let empty = client.get(&target).ok();
    assert!(events(&empty).is_empty());
    assert_eq!(
        empty.next(&target).as_deref(),
        Some(&*format!("/admin/events?wait=1&after={}", id(&told[0])))
    );
}

#[test]
fn a_stop_does_not_wait_for_who_waits_for_events() {
    let (mut server, mut client) = shop();
    let mut waiting = server.client();
    let waiter = thread::spawn(move || waiting.get("/admin/events?after=1&wait=30").ok());
    let mut stream = Stream::open(server.client(), "/admin/events?after=1", &[]);
    wait_for("a request that waits", || {
        let health = client.get("/health").ok().json();
        (health["events"]["waiting"] == 1 && health["events"]["streams"] == 1).then_some(())
    });
    assert!(server.terminate().success());
    assert!(events(&waiter.join().expect("no panic")).is_empty());
    assert_eq!(stream.next(), None);
    assert!(server.log().contains("\"cut\":0"), "{}", server.log());
}

#[test]
fn what_is_wrong_with_a_request_for_events_is_said() {
    let (_server, mut client) = shop();
    for (query, field) in [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("after=01", "after"),
        ("after=99999999999999999999", "after"),
        ("after=1&after=1", "after"),
        // Beyond the newest record: it is of another journal.
        ("after=1000", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("wait=31", "wait"),
        ("wait=x", "wait"),
        ("type=sale.created,x", "type"),
        ("sale_id=0", "sale_id"),
        ("sale_id=1,2", "sale_id"),
        ("%zz=1", "query"),
    ] {
        client
            .get(&format!("/admin/events?{query}"))
            .invalid(&[field]);
    }
    let stream = ("Accept", "text/event-stream");
    let last = [stream, ("Last-Event-ID", "x")];
    client
        .send("GET", "/admin/events", &last, b"")
        .invalid(&["last-event-id"]);
    let last = [stream, ("Last-Event-ID", "1000")];
    client
        .send("GET", "/admin/events", &last, b"")
        .invalid(&["last-event-id"]);
    let types = "/admin/events?type=sale.created,sale.closed&sale_id=1";
    assert_eq!(kinds(&read_all(&mut client, types)), ["sale.created"]);
    client
        .post("/admin/events")
        .refused(405, "method_not_allowed", "method");
    let head = client.send("HEAD", "/admin/events", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn the_token_of_the_shop_opens_what_is_for_shops_and_nothing_else() {
    let server = Server::start(&[
        ("SALE_TOTAL_ITEMS", "10"),
        ("ADMIN_TOKEN", TOKEN),
        ("SHOP_TOKEN", SHOP_TOKEN),
    ]);
    let bearer = |token: &str| format!("Bearer {token}");
    let ask = |method: &str, path: &str, token: &str| {
        let head = ("Authorization", &*bearer(token));
        server.client().send(method, path, &[head], b"").status
    };
    assert_eq!(ask("GET", "/admin/events", SHOP_TOKEN), 200);
    assert_eq!(ask("GET", "/admin/events", TOKEN), 200);
    assert_eq!(ask("GET", "/admin/events", "another-token-of-a-shop"), 401);
    let code = server.client().checkout("ada", "ITM-1-0").ok().code();
    let checkout = format!("/admin/checkouts/{code}");
    for (token, status) in [
        (SHOP_TOKEN, 200),
        (TOKEN, 200),
        ("another-token-of-a-shop", 401),
    ] {
        assert_eq!(ask("GET", &checkout, token), status);
    }
    for (method, path) in [
        ("POST", "/admin/sales"),
        ("POST", "/admin/sales/1/close"),
        ("GET", "/admin/sales/1/purchases"),
        ("POST", "/admin/replication/hand-over"),
    ] {
        assert_eq!(ask(method, path, SHOP_TOKEN), 401, "{method} {path}");
    }
    let log = server.log();
    assert!(
        log.contains("shop.token=set") && !log.contains(SHOP_TOKEN),
        "{log}"
    );
    let (_, said) = crate::server::Place::new(&[("ADMIN_TOKEN", TOKEN), ("SHOP_TOKEN", TOKEN)])
        .failure(&["serve"]);
    assert!(
        said.contains("shop.token = (hidden)") && said.contains("admin.token"),
        "{said}"
    );
    assert!(!said.contains(TOKEN));
}

/// A stream of events.
struct Stream {
    client: Client,
    text: String,
}

impl Stream {
    fn open(mut client: Client, target: &str, headers: &[(&str, &str)]) -> Self {
        let accept = [("Accept", "text/event-stream")];
        let head = client
            .send("GET", target, &[&accept, headers].concat(), b"")
            .ok();
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        let mut stream = Self {
            client,
            text: String::new(),
        };
        let retry = stream.part().expect("when to come again");
        assert!(retry.starts_with("retry: "), "{retry}");
        stream
    }

    /// The next part, which ends with an empty line; `None` at the end.
    fn part(&mut self) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.text.split_once("\n\n") {
                let part = part.to_owned();
                self.text = rest.to_owned();
                return Some(part);
            }
            let chunk = self.client.read_chunk().expect("a chunk")?;
            self.text += std::str::from_utf8(&chunk).expect("UTF-8");
        }
    }

    /// The next event; places alone are skipped.
    fn next(&mut self) -> Option<Value> {
        loop {
            let part = self.part()?;
            let (place, data) = match part.split_once('\n') {
                Some((place, data)) => (place, data.strip_prefix("data: ").expect("data")),
                None => continue,
            };
            let event: Value = serde_json::from_str(data).expect("JSON");
            check_specification(&event);
            let expected = format!("id: {}", event["id"].as_str().expect("an id"));
            assert_eq!(place, expected);
            return Some(event);
        }
    }
}

#[test]
fn streams_tell_what_pages_tell_and_go_on_behind_the_last_event() {
    let (mut server, mut client) = shop();
    let mut streams: Vec<_> = (0..8)
        .map(|_| Stream::open(server.client(), "/admin/events", &[]))
        .collect();
    let wanted = "/admin/events?type=sale.closed&sale_id=2";
    let mut filtered = Stream::open(server.client(), wanted, &[]);
    buy(&mut client, "ada", "ITM-1-0");
    let sale = create(&mut client, &household());
    buy(&mut client, "bob", "lamp");
    client.post(&format!("/admin/sales/{sale}/close")).ok();
    let all = read_all(&mut client, "/admin/events");
    assert_eq!(all.len(), 5);
    for stream in &mut streams {
        let told: Vec<_> = all
            .iter()
            .map(|_| stream.next().expect("an event"))
            .collect();
        assert_eq!(told, all);
    }
    assert_eq!(filtered.next().as_ref(), all.last());
    let last = id(&all[1]).to_string();
    let mut again = Stream::open(
        server.client(),
        "/admin/events?after=0",
        &[("Last-Event-ID", &last)],
    );
    assert_eq!(again.next().as_ref(), Some(&all[2]));
    drop(streams);
    server.kill_9();
    server.restart();
    let last = id(&all[3]).to_string();
    let mut again = Stream::open(
        server.client(),
        "/admin/events",
        &[("Last-Event-ID", &last)],
    );
    assert_eq!(again.next().as_ref(), Some(&all[4]));
    buy(&mut server.client(), "eve", "ITM-1-2");
    assert_eq!(again.next().expect("an event")["data"]["user_id"], "eve");
}

/// A stream is read while the server is killed: nothing was told that is not there afterwards.
#[test]
fn what_a_stream_has_told_is_there_after_a_kill() {
    let (mut server, _) = shop();
    for round in 0..4 {
        let mut stream = Stream::open(server.client(), "/admin/events", &[]);
        let mut buyer = server.client();
        let buying = thread::spawn(move || {
            for user in 0.. {
                let target = format!("/checkout?user_id=u-{round}-{user}&id=ITM-1-{}", user % 10);
                if buyer.try_send("POST", &target, &[], b"").is_err() {
                    return;
                }
            }
        });
        let mut admin = server.client();
        create(&mut admin, &household());
        let mut told = vec![stream.next().expect("an event")];
        for item in ["lamp", "cup"] {
            let user = format!("w-{round}");
            buy(&mut admin, &user, item);
        }
        let wanted = format!("w-{round}");
        while told.last().expect("one")["data"]["user_id"] != *wanted {
            told.push(stream.next().expect("an event"));
        }
        server.kill_9();
        buying.join().expect("no panic");
        server.restart();
        let all = read_all(&mut server.client(), "/admin/events?limit=1000");
        assert_eq!(all[..told.len()], told);
    }
}

/// Segments that a snapshot covers may go. What was in them is not silently left out.
#[test]
fn events_that_are_no_longer_kept_are_gone_and_not_left_out() {
    let (server, mut client) = shop();
    let items: Vec<_> = (0..12_000)
        .map(|item| json!({"id": format!("item-{item}"), "name": "x".repeat(250), "image_url": format!("/{}", "y".repeat(900)), "stock": 1}))
        .collect();
    create(&mut client, &json!({ "items": items }));
    buy(&mut client, "ada", "item-7");
    let newest = id(read_all(&mut client, "/admin/events").last().expect("one"));
    let place = server.stop();
    // With a snapshot of everything the first segments may go, as trimming has them go.
    let (dir, last) = (place.journal_dir(), Lsn(newest));
    write_snapshot(&RealDisk, &dir, last, &SystemClock::new(), &OsEntropy).expect("room");
    let segments = place.segments();
    assert!(segments.len() > 3, "{segments:?}");
    for segment in &segments[..2] {
        std::fs::remove_file(segment).expect("our own");
    }
    let server = Server::start_in(place);
    let mut client = server.client();
    for target in ["/admin/events", "/admin/events?after=1"] {
        let gone = client.get(target).refused(410, "events_gone", "journal");
        let oldest = gone.member("oldest");
        let told = read_all(&mut client, &format!("/admin/events?after={oldest}"));
        assert_eq!(id(told.last().expect("the purchase")), newest);
        assert_eq!(kinds(&told), ["sale.created", "purchase.completed"]);
        let before = oldest.parse::<u64>().expect("a number") - 1;
        client
            .get(&format!("/admin/events?after={before}"))
            .refused(410, "events_gone", "journal");
    }
    let stream = [("Accept", "text/event-stream")];
    let gone = client.send("GET", "/admin/events", &stream, b"");
    gone.refused(410, "events_gone", "journal");
}

#[test]
fn the_reference_sdk_reads_every_event() {
    let (server, mut client) = shop();
    create(&mut client, &household());
    buy(&mut client, "ada \u{fc} \"A\"", "lamp");
    client.post("/admin/sales/2/close").ok();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events/read.py");
    let token = server.token().expect("a token");
    let output = Command::new(python())
        .arg(here)
        .args([format!("http://{}/admin/events", server.addr()), token])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(
        said,
        "sale.created 1\nsale.created 2\npurchase.completed 2\nsale.closed 2\n"
    );
}
