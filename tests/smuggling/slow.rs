//! Requests that take their time. The deadlines are those of the server.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::server::{Server, wait_for};
use crate::smuggling::case::{Connection, connect, server};

/// Sends a byte now and then until the server has closed.
fn trickle(connection: &mut dyn Connection) {
    wait_for("the close of a slow connection", || {
        thread::sleep(Duration::from_millis(200));
        connection.write_all(b"y").err()
    });
}

fn has_chosen_nothing(server: &Server) {
    let first = server.client().checkout("ada", "ITM-1-9").ok();
    assert_eq!(first.json()["items_count"], 1);
}

#[test]
fn a_slow_head_is_cut_off_and_not_executed() {
    let server = server();
    let mut connection = connect(&server);
    let head = "POST /checkout?user_id=ada&id=ITM-1-0 HTTP/1.1\r\nHost: a\r\nx: ";
    connection.write_all(head.as_bytes()).expect("connected");
    trickle(&mut connection);
    has_chosen_nothing(&server);
}

#[test]
fn a_slow_body_is_cut_off_and_not_executed() {
    let server = server();
    let mut connection = connect(&server);
    let head =
        "POST /checkout?user_id=ada&id=ITM-1-0 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n";
    connection.write_all(head.as_bytes()).expect("connected");
    trickle(&mut connection);
    has_chosen_nothing(&server);
}

/// Each byte alone, but all of them in time.
#[test]
fn a_head_may_come_byte_by_byte() {
    let server = server();
    let mut connection = connect(&server);
    let request = "POST /checkout?user_id=ada&id=ITM-1-0 HTTP/1.1\r\nHost: a\r\n\
                   Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n";
    for byte in request.bytes() {
        connection.write_all(&[byte]).expect("connected");
    }
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut connection, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
