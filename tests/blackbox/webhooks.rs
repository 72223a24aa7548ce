//! Webhooks, received by the reference library of Standard Webhooks in a process of its own.

use std::fs;

use serde_json::{Value, json};

use super::events::read_all;
use crate::admin::{create, household};
use crate::certificates::Authority;
use crate::client::Client;
use crate::receiver::{Receiver, SECRET};
use crate::server::{Place, Server, wait_for};

const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn server(endpoints: &[Value]) -> Server {
    let endpoints = Value::from(endpoints.to_vec()).to_string();
    Server::start(&[("SALE_TOTAL_ITEMS", "1000"), ("WEBHOOKS", &endpoints)])
}

fn buy(client: &mut Client, item: u32) {
    let code = client.choose(&format!("user-{item}"), &[&format!("ITM-1-{item}")]);
    client.purchase(&code).ok();
}

/// What `/health` says of the first endpoint.
fn health(server: &Server) -> Value {
    server.client().get("/health").ok().json()["webhooks"][0].clone()
}

#[test]
fn an_endpoint_gets_every_event_in_order_and_only_what_it_wants() {
    let (all, closed) = (Receiver::plain(), Receiver::plain());
    let mut wanted = closed.endpoint();
    wanted["types"] = json!(["sale.closed"]);
    wanted["sale_ids"] = json!(["2"]);
    let server = server(&[all.endpoint(), wanted]);
    let mut client = server.client();
    // A new endpoint begins with what happens from then on.
    let before = read_all(&mut client, "/admin/events").len();
    wait_for("the endpoints", || {
        (health(&server)["status"] == "UP").then_some(())
    });
    (0..250).for_each(|item| buy(&mut client, item));
    let sale = create(&mut client, &household());
    client.post(&format!("/admin/sales/{sale}/close")).ok();
    let told = read_all(&mut client, "/admin/events?limit=1000");
    all.wait_for_all(&told, before);
    closed.wait_for_all(&told[told.len() - 1..], 0);
    assert!(all.notes("refused").is_empty());
    let sizes = all.notes("message");
    let largest = sizes
        .iter()
        .filter_map(|it| it.split(' ').nth(2)?.parse::<u32>().ok());
    assert!(largest.max() <= Some(100));
    let log = server.log();
    for secret in ["not-to-be-shown", &SECRET[6..]] {
        assert!(!log.contains(secret), "{log}");
        assert!(!server.client().get("/health").text().contains(secret));
    }
    let metrics = client.get("/metrics").ok();
    assert!(
        metrics.text().contains("webhook_up{endpoint=\"1\"} 1"),
        "{}",
        metrics.text()
    );
}

#[test]
fn an_endpoint_that_was_down_and_a_server_that_was_killed_lose_nothing() {
    let mut receiver = Receiver::plain();
    let mut server = server(&[receiver.endpoint()]);
    let mut client = server.client();
    let before = read_all(&mut client, "/admin/events").len();
    wait_for("the endpoint", || {
        (health(&server)["status"] == "UP").then_some(())
    });
    let mut item = 0;
    let mut buy_some = |server: &Server| {
        let mut client = server.client();
        (0..30).for_each(|_| {
            buy(&mut client, item);
            item += 1;
        });
    };
    buy_some(&server);
    receiver.kill();
    buy_some(&server);
    // In the middle of a message.
    receiver.answer_with("slow 2");
    receiver.run();
    buy_some(&server);
    server.kill_9();
    server.restart();
    buy_some(&server);
    for mode in ["500", "503 1", "429 1"] {
        receiver.answer_with(mode);
        buy_some(&server);
    }
    receiver.answer_with("200");
    let told = read_all(&mut server.client(), "/admin/events?limit=1000");
    receiver.wait_for_all(&told, before);
    assert!(receiver.notes("refused").is_empty());
}

#[test]
fn an_endpoint_that_is_gone_is_switched_off_and_health_says_so() {
    let receiver = Receiver::plain();
    receiver.answer_with("410");
    let mut server = server(&[receiver.endpoint()]);
    wait_for("the endpoint", || {
        health(&server)["applied_lsn"].is_u64().then_some(())
    });
    buy(&mut server.client(), 0);
    wait_for("the end of the endpoint", || {
        let reason = health(&server)["reason"].as_str()?.contains("switched off");
        reason.then_some(())
    });
    let asked = receiver.notes("message").len();
    assert_eq!(asked, 1);
    receiver.answer_with("200");
    buy(&mut server.client(), 1);
    server.kill_9();
    assert_eq!(
        receiver.notes("message").len(),
        asked,
        "nothing is sent any more"
    );
    server.restart();
    let told = read_all(&mut server.client(), "/admin/events");
    receiver.wait_for_all(&told, 2);
}

#[test]
fn a_pause_that_an_endpoint_wants_is_kept_and_redirects_are_not_followed() {
    let (receiver, elsewhere) = (Receiver::plain(), Receiver::plain());
    receiver.answer_with("503 4");
    let server = server(&[receiver.endpoint()]);
    wait_for("the endpoint", || {
        health(&server)["applied_lsn"].is_u64().then_some(())
    });
    buy(&mut server.client(), 0);
    wait_for("a refusal", || {
        (!receiver.notes("message").is_empty()).then_some(())
    });
    receiver.answer_with(&format!("301 {}", elsewhere.url()));
    wait_for("a redirection", || {
        (receiver.notes("message").len() > 1).then_some(())
    });
    let times: Vec<u64> = receiver
        .notes("message")
        .iter()
        .filter_map(|it| it.rsplit(' ').next()?.parse().ok())
        .collect();
    // By the receiver's own clock.
    assert!(times[1] - times[0] >= 3_900, "{times:?}");
    wait_for("the reason", || {
        let reason = health(&server)["reason"].as_str()?.to_owned();
        (reason.contains("redirects are not followed") || reason.contains("asked again later"))
            .then_some(())
    });
    receiver.answer_with("200");
    let told = read_all(&mut server.client(), "/admin/events");
    receiver.wait_for_all(&told, 2);
    assert!(elsewhere.notes("message").is_empty());
}

#[test]
fn during_a_rotation_either_secret_is_right_and_a_file_is_read_again() {
    let receiver = Receiver::start(OTHER_SECRET, None);
    let file = receiver.dir().join("secret");
    fs::write(&file, format!("{SECRET}\n")).expect("a file");
    let mut endpoint = receiver.endpoint();
    endpoint
        .as_object_mut()
        .expect("an object")
        .remove("secret");
    endpoint["secret_file"] = json!(file);
    let server = server(&[endpoint]);
    wait_for("the endpoint", || {
        health(&server)["applied_lsn"].is_u64().then_some(())
    });
    buy(&mut server.client(), 0);
    wait_for("a wrong signature", || {
        (!receiver.notes("refused").is_empty()).then_some(())
    });
    assert!(receiver.events().is_empty());
    fs::write(&file, format!("{SECRET}\n{OTHER_SECRET}\n")).expect("a file");
    server.signal(rustix::process::Signal::HUP);
    let told = read_all(&mut server.client(), "/admin/events");
    receiver.wait_for_all(&told, 2);
}

#[test]
fn an_endpoint_needs_a_certificate_that_is_trusted_and_has_its_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (ours, other) = (Authority::new(), Authority::new());
    let certify = |authority: &Authority, name: &str, file: &str| {
        let (pem, private) = authority.sign(name);
        let (certificate, key) = (
            dir.path().join(format!("{file}.crt")),
            dir.path().join(format!("{file}.key")),
        );
        fs::write(&certificate, pem).expect("a file");
        fs::write(&key, private).expect("a file");
        (certificate, key)
    };
    let root = dir.path().join("root.crt");
    fs::write(&root, &ours.pem).expect("a file");
    let right = Receiver::start(SECRET, Some(certify(&ours, "localhost", "right")));
    let named = Receiver::start(SECRET, Some(certify(&ours, "elsewhere.example", "named")));
    let signed = Receiver::start(SECRET, Some(certify(&other, "localhost", "signed")));
    let endpoints: Vec<_> = [&right, &named, &signed]
        .map(|receiver| {
            let mut endpoint = receiver.endpoint();
            endpoint["sslrootcert"] = json!(root);
            endpoint
        })
        .into();
    let server = server(&endpoints);
    let all = || server.client().get("/health").ok().json()["webhooks"].clone();
    wait_for("the endpoints", || {
        all()
            .as_array()?
            .iter()
            .all(|it| it["applied_lsn"].is_u64())
            .then_some(())
    });
    buy(&mut server.client(), 0);
    let told = read_all(&mut server.client(), "/admin/events");
    right.wait_for_all(&told, 2);
    for index in [1, 2] {
        wait_for("the refusal", || {
            let is_refused = all()[index]["reason"].as_str()?.contains("certificate");
            is_refused.then_some(())
        });
    }
    assert!(named.events().is_empty() && signed.events().is_empty());
}

#[test]
fn a_private_address_is_refused_unless_it_is_allowed() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (pem, private) = authority.sign("localhost");
    let (certificate, key) = (dir.path().join("crt"), dir.path().join("key"));
    fs::write(&certificate, pem).expect("a file");
    fs::write(&key, private).expect("a file");
    let root = dir.path().join("root.crt");
    fs::write(&root, &authority.pem).expect("a file");
    let receiver = Receiver::start(SECRET, Some((certificate, key)));
    let endpoint = json!({"url": receiver.url(), "secret": SECRET, "sslrootcert": root});
    let server = server(&[endpoint]);
    wait_for("the endpoint", || {
        health(&server)["applied_lsn"].is_u64().then_some(())
    });
    buy(&mut server.client(), 0);
    wait_for("the refusal", || {
        let is_refused = health(&server)["reason"].as_str()?.contains("private");
        is_refused.then_some(())
    });
    assert!(receiver.notes("message").is_empty());
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said_and_no_secret() {
    let right = json!({"url": "https://shop.example/hook", "secret": SECRET});
    let with = |name: &str, value: Value| {
        let mut endpoint = right.clone();
        endpoint[name] = value;
        json!([endpoint])
    };
    for (endpoints, word) in [
        (json!({}), "a list of up to"),
        (json!(["x"]), "a list of up to"),
        (json!([{}]), "url must be given"),
        (with("url", json!("shop.example")), "absolute address"),
        (with("url", json!("http://shop.example/")), "by https"),
        (with("url", json!(7)), "url must be a text"),
        (with("secret", json!("whsec_short")), "secret must be"),
        (
            with("secret", json!([SECRET, SECRET, SECRET])),
            "secret must be",
        ),
        (
            with("secret_file", json!("/nowhere")),
            "either secret or secret_file",
        ),
        (with("types", json!(["sale.lost"])), "sale.created"),
        (with("sale_ids", json!([1])), "sale_ids must be"),
        (with("allow_private", json!("yes")), "true or false"),
        (with("sslrootcert", json!("")), "sslrootcert must be"),
        (with("colour", json!("red")), "are known"),
        (json!([right, right]), "different urls"),
    ] {
        let place = Place::new(&[("WEBHOOKS", &endpoints.to_string())]);
        let (code, said) = place.failure(&["serve"]);
        assert_eq!(code, Some(78), "{endpoints}: {said}");
        assert!(
            said.contains("webhooks") && said.contains(word),
            "{word}: {said}"
        );
        assert!(!said.contains(&SECRET[6..]), "{said}");
    }
}
