//! Administration through real proxies on the same machine, which come from the loopback with everybody behind
//! them.

use std::net::SocketAddr;

use crate::admin::{JSON, TOKEN};
use crate::client::{Answer, Client};
use crate::http_proxy::HttpProxy;
use crate::server::Server;

/// Asks as a client that claims to be on the machine itself.
fn ask_as_local(proxy: SocketAddr, method: &str, target: &str, token: Option<&str>) -> Answer {
    let body = if target.ends_with("/sales") {
        r#"{"total_items":3}"#
    } else {
        ""
    };
    let bearer = token.map_or_else(String::new, |it| format!("authorization: Bearer {it}\r\n"));
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 127.0.0.1\r\n\
         x-real-ip: 127.0.0.1\r\nforwarded: for=127.0.0.1;host=localhost\r\n\
         x-forwarded-host: localhost\r\n{bearer}{}: {}\r\ncontent-length: {}\r\n\r\n{body}",
        JSON.0,
        JSON.1,
        body.len()
    );
    let mut client = Client::connect(proxy).expect("the proxy answers");
    client.write(request.as_bytes()).expect("the proxy reads");
    client.read().expect("the proxy answers")
}

#[track_caller]
fn check(server: &Server, proxy: &HttpProxy) {
    let wrong = TOKEN;
    let drawn = server.token().expect("a token that was drawn");
    for (method, target) in [
        ("POST", "/admin/sales"),
        ("POST", "/api/v1/admin/sales"),
        ("POST", "/admin/sales/1/close"),
        ("GET", "/admin/sales/1/purchases"),
    ] {
        for token in [None, Some(wrong)] {
            let answer = ask_as_local(proxy.addr(), method, target, token);
            answer.refused(401, "unauthorized", "token");
        }
    }
    let sale = ask_as_local(proxy.addr(), "GET", "/sales/1", None).ok();
    assert_eq!(sale.json()["active"], true, "{}", sale.text());
    let created = ask_as_local(proxy.addr(), "POST", "/admin/sales", Some(&drawn));
    assert_eq!(created.status, 201, "{}", created.text());
    ask_as_local(proxy.addr(), "POST", "/admin/sales/1/close", Some(&drawn)).ok();
}

#[test]
fn nginx_opens_administration_to_nobody_without_the_token() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let everything = format!(
        "location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header Host $http_host; }}",
        server.addr()
    );
    check(&server, &HttpProxy::nginx(&everything));
}

#[test]
fn haproxy_opens_administration_to_nobody_without_the_token() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    check(&server, &HttpProxy::haproxy(server.addr()));
}
