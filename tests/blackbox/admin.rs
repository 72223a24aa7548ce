//! Helpers of the tests of administration.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::Server;

pub const TOKEN: &str = "correct-horse-battery-staple";
pub const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A server whose own sale has ten items, and which takes administration from this machine.
pub fn shop() -> (Server, Client) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let client = server.client();
    (server, client)
}

/// Asks for a sale.
#[track_caller]
pub fn ask(client: &mut Client, sale: &Value) -> Answer {
    let body = sale.to_string();
    client.send("POST", "/admin/sales", &[JSON], body.as_bytes())
}

/// Has a sale created; its id.
#[track_caller]
pub fn create(client: &mut Client, sale: &Value) -> String {
    let answer = ask(client, sale);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let json = answer.json();
    let id = json["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), Some(&*format!("../sales/{id}")));
    id
}

/// A sale that has begun, of 5 lamps, a chair, and 1000 cups.
pub fn household() -> Value {
    json!({"items": [
        {"id": "lamp", "name": "Lamp", "stock": 5},
        {"id": "chair", "name": "Chair", "image_url": "/images/chair.svg", "stock": 1},
        {"id": "cup", "name": "Cup \"Ü\"", "stock": 1000},
    ]})
}

/// The time in so many seconds, as RFC 3339 writes it.
pub fn in_seconds(seconds: i64) -> String {
    let then = jiff::Timestamp::now().as_second() + seconds;
    let then = jiff::Timestamp::from_second(then).expect("a time of these days");
    then.to_string()
}
