//! Buying over TLS.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::tls::encrypted::{Client, server};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_connection_buys_one_item_after_the_other() {
    let (server, config) = server();
    let mut client = Client::connect(&server, &Arc::new(config)).expect("a connection");
    for index in 0..5 {
        let target = format!("/checkout?user_id=ada&id=ITM-1-{index}");
        let (status, body) = client.send("POST", &target, "");
        assert_eq!(status, 200, "{body}");
        let code = json(&body)["code"].as_str().expect("a code").to_owned();
        let (status, body) = client.send("POST", &format!("/purchase?code={code}"), "");
        assert_eq!((status, &json(&body)["total_purchased"]), (200, &json!(1)));
    }
    let (_, sale) = client.send("GET", "/sales/active", "");
    assert_eq!(json(&sale)["items_sold"], 5);
}

#[test]
fn bodies_of_many_records_pass_in_both_directions() {
    let (server, config) = server();
    let mut client = Client::connect(&server, &Arc::new(config)).expect("a connection");
    let name = "a long name ".repeat(10);
    let items: Vec<_> = (0..1_000)
        .map(|index| json!({"id": format!("item-{index}"), "name": name, "stock": 1}))
        .collect();
    let sale = json!({ "items": items }).to_string();
    let (status, created) = client.send("POST", "/admin/sales", &sale);
    assert_eq!(status, 201, "{created}");
    let id = json(&created)["data"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let target = format!("/sales/{id}/items?limit=1000");
    let (status, shown) = client.send("GET", &target, "");
    assert_eq!(status, 200, "{shown}");
    assert!(shown.len() > 100_000);
    assert_eq!(json(&shown).as_array().map(Vec::len), Some(1_000));
}

#[test]
fn a_viewer_is_told_of_every_change() {
    let (server, config) = server();
    let config = Arc::new(config);
    let mut viewer = Client::connect(&server, &config).expect("a connection");
    let request = "GET /sales/1/stream HTTP/1.1\r\nhost: a\r\n\r\n";
    viewer.write(request);
    assert_eq!(viewer.head(), (200, None));
    let sold = |client: &mut Client| loop {
        let line = client.line();
        if let Some(data) = line.strip_prefix("data: ") {
            break json(data)["sold"].as_u64().expect("a number");
        }
    };
    assert_eq!(sold(&mut viewer), 0);
    let mut buyer = Client::connect(&server, &config).expect("a connection");
    let (_, body) = buyer.send("POST", "/checkout?user_id=ada&id=ITM-1-0", "");
    let code = json(&body)["code"].as_str().expect("a code").to_owned();
    buyer.send("POST", &format!("/purchase?code={code}"), "");
    assert_eq!(sold(&mut viewer), 1);
}

#[test]
fn the_page_says_how_a_terminal_gets_here() {
    let (server, config) = server();
    let mut client = Client::connect(&server, &Arc::new(config)).expect("a connection");
    let (status, page) = client.send("GET", "/", "");
    assert_eq!(status, 200);
    let commands = page.matches("'https://localhost/").count();
    assert_eq!((commands, page.contains("http://")), (3, false), "{page}");
}

#[test]
fn the_end_of_the_server_is_told() {
    let (mut server, config) = server();
    let config = Arc::new(config);
    let mut used = Client::connect(&server, &config).expect("a connection");
    used.send("GET", "/livez", "");
    let mut waiting = Client::connect(&server, &config).expect("a connection");
    server.signal(Signal::TERM);
    assert_eq!(used.read_to_close().expect("a farewell"), b"");
    assert_eq!(waiting.read_to_close().expect("a farewell"), b"");
    assert!(server.wait().success());
}
