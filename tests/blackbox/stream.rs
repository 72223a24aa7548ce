//! Watching a sale.

use flashsale::limits::{STREAM_RETRY_MS_MAX, STREAM_RETRY_MS_MIN};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

const PATH: &str = "/sales/1/stream";

fn server() -> Server {
    Server::start(&[("SERVER_WORKERS", "2"), ("SALE_TOTAL_ITEMS", "1000")])
}

fn server_with_short_sales() -> Server {
    let settings = [("SALE_TOTAL_ITEMS", "10"), ("SALE_INTERVAL_SECONDS", "2")];
    Server::start(&settings)
}

/// An event: its name and its data.
type Event = (String, Value);

/// Somebody who watches.
struct Viewer {
    client: Client,
    head: Answer,
    /// The state that was there at once.
    first: Value,
}

impl Viewer {
    fn watch(mut client: Client, path: &str) -> Self {
        let head = client.get(path).ok();
        let greeting = piece(&mut client).expect("the state at once");
        let (retry, event) = greeting.split_once("\n\n").expect("two parts");
        let retry_ms = retry.strip_prefix("retry: ").map(str::parse::<u64>);
        let retry_ms = retry_ms.expect("when to come again").expect("a number");
        assert!((STREAM_RETRY_MS_MIN..STREAM_RETRY_MS_MAX).contains(&retry_ms));
        Self {
            client,
            head,
            first: parse(event).1,
        }
    }

    /// The next event; comments are skipped. `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            let text = piece(&mut self.client)?;
            if text != ":\n\n" {
                return Some(parse(&text));
            }
        }
    }

    /// Reads up to an event that `wanted` accepts.
    fn next_with(&mut self, wanted: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if wanted(&event.1) {
                return event;
            }
        }
    }
}

fn piece(client: &mut Client) -> Option<String> {
    let chunk = client.read_chunk().expect("a chunk")?;
    Some(String::from_utf8(chunk).expect("UTF-8"))
}

/// One whole event.
fn parse(text: &str) -> Event {
    let lines: Vec<_> = text.split('\n').collect();
    let [name, data, "", ""] = lines[..] else {
        panic!("not one event: {text:?}")
    };
    let name = name.strip_prefix("event: ").expect("a name");
    let data = data.strip_prefix("data: ").expect("data");
    (name.into(), serde_json::from_str(data).expect("JSON"))
}

fn watch(server: &Server) -> Viewer {
    Viewer::watch(server.client(), PATH)
}

/// Has one user buy one item.
fn buy(client: &mut Client, item: u64) {
    let code = client.choose(&format!("user-{item}"), &[&format!("ITM-1-{item}")]);
    client.purchase(&code).ok();
}

fn sold(data: &Value) -> u64 {
    data["sold"].as_u64().expect("a number")
}

/// A figure of `/health` about streams.
fn figure(client: &mut Client, name: &str) -> u64 {
    let health = client.get("/health").ok().json();
    health["stream"][name].as_u64().expect("a number")
}

#[test]
fn the_state_comes_at_once_and_then_every_change() {
    let server = server();
    let mut viewer = watch(&server);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(viewer.head.header(name), Some(value));
    }
    let sale = server.client().get("/sales/1").ok().json();
    let expected = serde_json::json!({
        "sale_id": "1", "total": 1000, "remaining": 1000, "sold": 0, "held": 0, "rate": 0.0,
        "ends_at": sale["ended_at"], "active": true,
    });
    assert_eq!(viewer.first, expected);

    buy(&mut server.client(), 0);
    let (name, data) = viewer.next().expect("a change");
    assert_eq!((name.as_str(), sold(&data)), ("stock", 1));
    assert_eq!(data["remaining"], 999);
    assert!(data["rate"].as_f64().expect("a number") > 0.0);
    // When nothing is sold the rate goes down to nothing.
    viewer.next_with(|data| data["rate"] == 0.0);
}

#[test]
fn held_units_are_shown() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("SALE_HOLD_SECONDS", "600")]);
    let mut viewer = watch(&server);
    server.client().choose("ada", &["ITM-1-0", "ITM-1-1"]);
    let (_, data) = viewer.next_with(|data| data["held"] == 2);
    assert_eq!((&data["remaining"], sold(&data)), (&8.into(), 0));
}

#[test]
fn all_viewers_see_the_same() {
    let server = server();
    let mut viewers: Vec<_> = (0..8).map(|_| watch(&server)).collect();
    let api = |_| Viewer::watch(server.client(), "/api/v1/sales/1/stream");
    viewers.extend((0..8).map(api));
    let mut buyer = server.client();
    (0..5).for_each(|item| buy(&mut buyer, item));
    let is_last = |data: &Value| sold(data) == 5 && data["rate"] == 0.0;
    let ends: Vec<_> = viewers
        .iter_mut()
        .map(|viewer| viewer.next_with(is_last))
        .collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    // One who comes later is shown the same, too.
    assert_eq!(watch(&server).first, ends[0].1);
}

#[test]
fn many_viewers_cost_one_computation_a_tick() {
    let server = server();
    let viewers: Vec<_> = (0..500).map(|_| watch(&server)).collect();
    let mut client = server.client();
    assert_eq!(figure(&mut client, "viewers"), 500);
    let look = |client: &mut Client| {
        let health = client.get("/health").ok().json();
        let figure = |name: &str| health["stream"][name].as_u64().expect("a number");
        (figure("ticks"), figure("computations"))
    };
    let before = look(&mut client);
    let mut item = 0;
    let after = wait_for("some ticks", || {
        buy(&mut client, item);
        item += 1;
        let now = look(&mut client);
        (now.0 >= before.0 + 8).then_some(now)
    });
    assert_eq!(after.1 - before.1, after.0 - before.0);
    assert_eq!(figure(&mut client, "feeds"), 1);
    drop(viewers);
    for name in ["viewers", "feeds"] {
        wait_for("the end of the feed", || {
            (figure(&mut client, name) == 0).then_some(())
        });
    }
}

#[test]
fn a_viewer_who_leaves_is_forgotten() {
    let server = server();
    let mut client = server.client();
    let (stays, leaves, mut half) = (watch(&server), watch(&server), watch(&server));
    assert_eq!(figure(&mut client, "viewers"), 3);
    drop(leaves);
    // An end of its requests is that of its interest, too.
    half.client.finish().expect("connected");
    wait_for("two to be forgotten", || {
        (figure(&mut client, "viewers") == 1).then_some(())
    });
    drop(stays);
    wait_for("the feed to end", || {
        (figure(&mut client, "feeds") == 0).then_some(())
    });
}

#[test]
fn a_sale_ends_with_its_stream_and_the_connection_stays() {
    let server = server_with_short_sales();
    let mut client = server.client();
    let (sale, mut viewer) = wait_for("a sale with time left", || {
        let (sale, _) = client.active_sale();
        let bought = client.checkout("ada", &format!("ITM-{sale}-0"));
        let viewer = Viewer::watch(server.client(), &format!("/sales/{sale}/stream"));
        let is_open = viewer.first["active"] == true && bought.status == 200;
        (is_open && client.purchase(&bought.code()).status == 200).then_some((sale, viewer))
    });
    // It may come together with the end.
    viewer
        .client
        .write(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        .expect("connected");
    let (name, last) = viewer.next_with(|data| data.get("ended_at").is_some());
    let shown = client.get(&format!("/sales/{sale}")).ok().json();
    let expected = serde_json::json!({
        "sale_id": sale, "sold": 1, "total": 10, "ended_at": shown["ended_at"],
    });
    assert_eq!((name.as_str(), &last), ("closed", &expected));
    assert_eq!(viewer.next(), None, "the last chunk");
    assert_eq!(viewer.client.read().expect("an answer").ok().text(), "ok\n");
    // Who comes later is told so at once, as often as they ask.
    for _ in 0..2 {
        let mut late = Viewer::watch(viewer.client, &format!("/sales/{sale}/stream"));
        assert_eq!(late.first, expected);
        assert_eq!(late.next(), None);
        viewer = late;
    }
}

#[test]
fn a_scheduled_sale_can_be_watched() {
    let server = server_with_short_sales();
    let mut client = server.client();
    let mut viewer = wait_for("a sale that has not begun", || {
        let scheduled = client.get("/sales?status=scheduled").ok().json();
        let sale = scheduled[0]["id"].as_str()?.to_owned();
        let viewer = Viewer::watch(server.client(), &format!("/sales/{sale}/stream"));
        (viewer.first["active"] == false).then_some(viewer)
    });
    assert_eq!(viewer.first["remaining"], 10);
    viewer.next_with(|data| data["active"] == true);
    viewer.next_with(|data| data.get("ended_at").is_some());
}

#[test]
fn streams_without_chunks_end_with_their_connection() {
    let server = server_with_short_sales();
    let mut client = server.client();
    for request in ["HTTP/1.0\r\n", "HTTP/1.0\r\nconnection: keep-alive\r\n"] {
        let (sale, _) = client.active_sale();
        let mut viewer = server.client();
        let request = format!("GET /sales/{sale}/stream {request}host: a\r\n\r\n");
        viewer.write(request.as_bytes()).expect("connected");
        let all = String::from_utf8(viewer.read_to_close().expect("an end")).expect("UTF-8");
        let (head, body) = all.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        assert!(
            head.to_lowercase().contains("\r\nconnection: close"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        assert!(
            body.starts_with("retry: ") && !body.contains('\r'),
            "{body}"
        );
        let (_, last) = body.trim_end().rsplit_once("\n\n").expect("events");
        assert!(last.starts_with("event: closed\n"), "{last}");
    }
}

#[test]
fn a_connection_that_cannot_go_on_is_closed() {
    let server = server_with_short_sales();
    let mut client = server.client();
    // Whoever leaves a body unread must not take it for the next request.
    let body = "content-length: 34\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n\r\n";
    for rest in ["connection: Keep-Alive, Close\r\n\r\n", body] {
        let (sale, _) = client.active_sale();
        let mut viewer = server.client();
        let request = format!("GET /sales/{sale}/stream HTTP/1.1\r\nhost: a\r\n{rest}");
        viewer.write(request.as_bytes()).expect("connected");
        let head = viewer.read().expect("a head").ok();
        assert_eq!(head.header("connection"), Some("close"));
        while viewer.read_chunk().expect("a chunk").is_some() {}
        assert_eq!(viewer.read_to_close().expect("a close"), b"");
    }
}

#[test]
fn a_stream_of_an_unknown_sale_is_refused() {
    let server = server();
    let mut client = server.client();
    for path in [
        "/sales/7/stream",
        "/sales/x/stream",
        "/api/v1/sales/0/stream",
    ] {
        client.get(path).refused(404, "sale_not_found", "not found");
    }
    client.get("/sales/1/stream/").refused(404, "not_found", "");
    let answer = client.post(PATH).refused(405, "method_not_allowed", "");
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    let head = client.send("HEAD", PATH, &[], b"").ok();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(figure(&mut client, "viewers"), 0);
}

#[test]
fn streams_end_with_the_server() {
    let mut server = server();
    let mut viewers: Vec<_> = (0..20).map(|_| watch(&server)).collect();
    buy(&mut server.client(), 0);
    assert!(server.terminate().success());
    for viewer in &mut viewers {
        while viewer.next().is_some() {}
        assert_eq!(
            viewer.client.read_to_close().expect("a close, not a reset"),
            b""
        );
    }
    let cut = server.log().lines().any(|line| line.contains("\"cut\":0"));
    assert!(cut, "no connection was cut");
}

/// A viewer whose machine takes hardly anything that is not read.
fn slow_viewer(server: &Server) -> Viewer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(1).expect("the least");
    socket.connect(&server.addr().into()).expect("a connection");
    Viewer::watch(
        Client::over(socket.into(), server.addr()).expect("connected"),
        PATH,
    )
}

#[test]
fn a_slow_viewer_gets_the_newest_state_and_holds_nobody_up() {
    const EVENTS: u64 = 40;
    let mut server = server();
    let (mut slow, stuck, mut quick) = (slow_viewer(&server), slow_viewer(&server), watch(&server));
    let mut buyer = server.client();
    for item in 0..EVENTS {
        buy(&mut buyer, item);
        quick.next_with(|data| sold(data) > item);
    }
    let mut seen = 1;
    while sold(&slow.next().expect("the stream goes on").1) < EVENTS {
        seen += 1;
    }
    assert!(seen < EVENTS, "all {seen} events were kept for it");
    assert!(server.terminate().success());
    let cut = server.log().lines().any(|line| line.contains("\"cut\":0"));
    assert!(
        cut,
        "who takes nothing was given up before the drain's time was up"
    );
    drop(stuck);
}
